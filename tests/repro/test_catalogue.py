import pathlib

import pytest

from bitdiff_jax import extensions, model_config
from bitdiff_jax.errors import InputError
from bitdiff_jax.repro import catalogue, defaults
from bitdiff_jax.repro.arms import HELD_OUT_SEED, held_out
from bitdiff_jax.repro.trainings import TRAININGS

ALL = catalogue.named("all")


def test_every_training_is_asked_for_and_there():
    asked = {each.training for each in catalogue.evaluations(ALL)}
    assert asked == set(TRAININGS)


def test_controls_come_first_and_every_claim_says_what_it_is():
    groups = [claim.group for claim in ALL]
    assert groups[: groups.count("controls")] == ["controls"] * groups.count("controls")
    for claim in ALL:
        assert claim.says and claim.title, claim.name
        nothing = not claim.decides and not claim.computed
        assert not nothing or claim.not_testable or claim.not_run, claim.name


def test_the_claims_of_the_paper_are_there():
    names = {"table1", "table2", "table3", "supplement_s1", *(f"fig{n}" for n in range(1, 10))}
    assert names <= set(catalogue.CLAIMS)


def test_an_unknown_claim_is_named():
    with pytest.raises(InputError, match=r"no claim 'fig10'.*did you mean fig"):
        catalogue.named("fig10")


@pytest.mark.parametrize("claim", [c for c in ALL if c.computed], ids=lambda c: c.name)
def test_computed_figures_are_tables(claim):
    head, *body = extensions.resolve(claim.computed, "computed")()
    assert body and all(len(line) == len(head) for line in body)


def test_the_identity_of_the_input_scale_holds():
    _, *body = extensions.resolve("bitdiff_jax.repro.computed:input_scale_identity", "")()
    assert all(float(departure) < 1e-12 for _, departure in body)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAININGS)
def test_every_training_makes_a_model(name):
    training = TRAININGS[name]
    config = training.config("repro", 2)
    assert config.seed == 2 and config.is_locked
    model = training.own_model(config) or model_config.from_config(config)
    assert model.image_size == config.model.image_size
    for key, value in training.settings.items():
        found = config
        for part in key.split("."):
            found = found[part]
        assert found == value
    assert f"seed={HELD_OUT_SEED},length=7" in held_out(config, 7)


def test_scenes_without_a_seed_cannot_be_held_out():
    config = TRAININGS["base"].config("repro", 0)
    config.data.train = "scenes,level=1"
    with pytest.raises(InputError, match="names no seed"):
        held_out(config, 3)


def test_defaults_name_claims_or_pages_that_are_there():
    docs = pathlib.Path(__file__).parents[2] / "docs"
    for key, values, row in defaults.values():
        assert len(values) == len(defaults.CONFIGS), key
        assert row in catalogue.CLAIMS or (docs / row).exists(), row
