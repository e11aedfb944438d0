import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax import model_config
from bitdiff_jax.cli.train import override
from bitdiff_jax.errors import InputError
from bitdiff_jax.training.optimizer import make_optimizer


@pytest.mark.parametrize("name", config_lib.names())
@pytest.mark.parametrize("variant", ["", ":smoke"])
def test_every_config_builds_a_model_and_an_optimizer(name, variant):
    config = config_lib.load(name + variant)
    assert config.is_locked
    model_config.from_config(config)
    make_optimizer(config)


def test_the_configs_are_there():
    assert {"quickstart", "small", "bsds", "paper", "base"} <= set(config_lib.names())


@pytest.mark.parametrize("name", config_lib.names())
def test_no_config_says_what_it_is_trained_on(name):
    """The data says it: a config is borrowed for other images."""
    assert config_lib.load(name).data.trained_on == ""


def test_the_config_for_own_images_has_none_until_they_are_said():
    config = config_lib.load("small")
    assert (config.data.train, config.eval.data) == ("", "")


def test_overrides():
    config = override(
        config_lib.load("base"),
        ["--config.train.batch_size=3", "--config.data.train=folder:x,zero=ignore",
         "--config.model.net.channel_multipliers=(1,2)", "--config.sampling.clip=false"],
    )  # fmt: skip
    assert config.train.batch_size == 3 and config.data.train == "folder:x,zero=ignore"
    assert tuple(config.model.net.channel_multipliers) == (1, 2)
    assert config.sampling.clip is False


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.train.bach_size=3", "config.train.bach_size"),
        ("--config.optimiser.b1=3", "config.optimiser"),
        ("--config.train.batch_size=many", "batch_size"),
        ("--config.train.batch_size=1.5", "batch_size"),
        ("stray", "unexpected argument 'stray'"),
    ],
)
def test_bad_overrides_are_named(argument, message):
    with pytest.raises(InputError, match=message):
        override(config_lib.load("base"), [argument])


@pytest.mark.parametrize("name", ["nonsense", "nonsense.py", "base:tiny"])
def test_unknown_configs_are_named(name):
    with pytest.raises(InputError, match="--config"):
        config_lib.load(name)


def test_a_config_file_by_path(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from bitdiff_jax import config\n"
        "def get_config(variant=''):\n"
        "    c = config.default()\n    c.seed = 7\n    return c\n"
    )
    assert config_lib.load(str(path)).seed == 7
