"""The two samplers that have a name."""

import dataclasses

import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax.cli import options
from bitdiff_jax.diffusion import presets
from bitdiff_jax.diffusion.presets import ACCURATE, FAITHFUL
from bitdiff_jax.diffusion.sampler import METHODS, Sampler, from_settings
from bitdiff_jax.errors import InputError


def test_a_preset_is_a_sampler_and_its_settings():
    assert presets.SETTINGS.keys() == {"accurate", "faithful"}
    for name, sampler in (("accurate", ACCURATE), ("faithful", FAITHFUL)):
        assert presets.applied(name, Sampler()) == sampler == from_settings(presets.settings(name))
        assert sampler.draws == 0  # one seed, one map, by any number of devices
    assert (ACCURATE.guidance_weight, ACCURATE.temperature) == (1, 0.1)
    # What a probability needs: no guidance, and the noise of training.
    assert not FAITHFUL.guided and FAITHFUL.temperature == 1
    assert FAITHFUL.num_steps > ACCURATE.num_steps


def test_a_config_takes_a_preset_over_and_the_photos_are_drawn_accurately():
    for name in presets.SETTINGS:
        config = config_lib.default()
        config.sampling.update(presets.settings(name))
        assert from_settings(config.sampling) == presets.applied(name, Sampler())
    assert from_settings(config_lib.load("photos").sampling) == ACCURATE


def test_what_belongs_to_the_model_is_kept():
    model = Sampler(3, 0.5, clip=(0, 1), decoder="dichotomy")
    want = dataclasses.replace(FAITHFUL, clip=(0.0, 1.0), decoder="dichotomy")
    assert presets.applied("faithful", model) == want


def test_an_unknown_preset_is_refused_in_one_line():
    for call in (lambda: presets.settings("best"), lambda: presets.applied("best", Sampler())):
        with pytest.raises(InputError, match=r"^preset is 'best'; use 'accurate' or 'faithful'$"):
            call()


# On the command line


def parsed(*arguments):
    parser = options.Parser(allow_abbrev=False)
    options.add_sampler(parser.add_argument)
    return parser.parse_args(arguments)


def test_other_options_say_what_a_preset_is_to_be():
    base = Sampler(3, 0.5, clip=(0, 1))
    for arguments, fields in (
        ((), {}),
        (("--num_steps", "20"), {"num_steps": 20}),
        (("--temperature", "0.3", "--guidance_weight=2"),
         {"temperature": 0.3, "guidance_weight": 2.0}),
    ):  # fmt: skip
        args = parsed("--preset", "faithful", *arguments)
        want = dataclasses.replace(FAITHFUL, clip=(0.0, 1.0), **fields)
        assert options.sampler_of(args, base) == want
        sampling = config_lib.default().sampling
        assert from_settings(options.sampler_settings(args, sampling)) == (
            dataclasses.replace(want, clip=True)
        )
    assert options.sampler_of(parsed("--num_steps", "5"), base) == base.override(num_steps=5)


def test_the_names_on_the_command_line_are_those_of_the_library(capsys):
    assert set(options.PRESETS) == set(presets.SETTINGS)
    assert options.METHODS == METHODS
    with pytest.raises(SystemExit):
        parsed("--preset", "best")
    told = capsys.readouterr().err
    assert "'accurate', 'faithful'" in told or "accurate, faithful" in told
