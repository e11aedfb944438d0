"""Parts of other projects, given in Python and by `module:name` in the config."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax.data import specs
from bitdiff_jax.diffusion import losses, schedules, weighting
from bitdiff_jax.encoding import interface as encodings
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import load
from bitdiff_jax.training import loop, setup
from tests import own_parts
from tests.test_model import batch_of, tiny

HERE = "tests.own_parts"


def loss_of(model):
    params = jax.jit(model.init)(jax.random.key(0))
    return jax.jit(model.loss)(params, batch_of(), jax.random.key(1))


@pytest.mark.slow
def test_own_encoding_by_config():
    model = tiny(model__encoding=f"{HERE}:Levels", model__num_bits=4)
    assert model.encoding == own_parts.Levels(4)
    loss, _ = loss_of(model)
    assert np.isfinite(loss)
    target = model.target(batch_of()["labels"], batch_of()["size"])
    shown = np.asarray(target.codes) >= 0
    np.testing.assert_array_equal(
        np.asarray(model.encoding.decode(target.x0))[shown], np.asarray(target.codes)[shown]
    )


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Bare", "has no .*num_codes"),
        ("Shifted", "does not give back"),
        ("Absent", "has no Absent"),
        ("fails", "failed: KeyError: 'missing'"),
        ("Stripes.__len__", "failed: AttributeError"),
    ],
)
def test_what_is_no_encoding_is_told(name, says):
    with pytest.raises(InputError, match=says):
        tiny(model__encoding=f"{HERE}:{name}", model__num_bits=4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bits", "onehot", "onehot_as_released", "rgb"])
def test_our_own_encodings_pass_the_check(name):
    encoding = encodings.make(name, 4)
    assert encodings.check(encoding) is encoding


@pytest.mark.slow
def test_own_loss_and_weight_by_config():
    model = tiny(
        model__objective__loss=f"{HERE}:absolute", model__objective__weight=f"{HERE}:late",
        model__objective__decoupled=False,
    )  # fmt: skip
    loss, metrics = loss_of(model)
    draws = model.draw(jax.random.key(1), batch_of()["labels"].shape)
    params = jax.jit(model.init)(jax.random.key(0))
    rows = jax.jit(model.row_losses)(params, batch_of(), draws)
    counted = np.asarray(draws.t) > 0.5
    assert counted.any() and not counted.all()
    np.testing.assert_allclose(loss, np.asarray(rows.error)[counted].sum() / 4, rtol=1e-5)
    np.testing.assert_allclose(metrics["absolute"], np.mean(rows.error) / 6, rtol=1e-5)


@pytest.mark.parametrize(
    ("part", "name", "says"),
    [
        ("loss", "one_number", r"loss gave \[\] for 2 rows"),
        ("loss", "fails", r"loss failed: KeyError: 'missing', own_parts\.py line"),
        ("weight", "too_many", r"weight gave \[2, 2\] for 2 rows"),
        ("weight", "fails", "weight failed: KeyError"),
        ("weight", "own_number", "has no own_number"),
    ],
)
def test_a_wrong_loss_or_weight_is_told_before_a_training(part, name, says):
    with pytest.raises(InputError, match=says):
        tiny(**{f"model__objective__{part}": f"{HERE}:{name}"})


def test_a_wrong_loss_given_in_python_is_told_when_it_is_traced():
    model = tiny()
    objective = dataclasses.replace(model.objective, loss=own_parts.one_number)
    wrong = dataclasses.replace(model, objective=objective)
    params = jax.eval_shape(model.init, jax.random.key(0))
    with pytest.raises(InputError, match=r"loss gave \[\] for .* rows"):
        jax.eval_shape(wrong.loss, params, batch_of(), jax.random.key(1))


def test_a_loss_of_the_raw_output():
    raw = losses.make(own_parts.of_output, "eps")
    assert raw.of_output and raw.name == "raw"
    by_name = losses.make("ce2", "p_logits")
    assert by_name.of_output and by_name.error is losses.cross_entropy_logits
    assert not losses.make("ce2", "p").of_output


def test_an_own_weight_is_decoupled_like_ours():
    schedule, t = schedules.cosine(0.1), jnp.array([0.3, 0.7, 0.9])
    ours = weighting.make("uniform", decoupled=True)(schedule, t)
    own = weighting.make(lambda schedule, t: jnp.ones_like(t), decoupled=True)(schedule, t)
    np.testing.assert_array_equal(own, ours)


@pytest.mark.parametrize("make", [losses.make, weighting.make])
def test_neither_a_name_nor_a_function(make):
    with pytest.raises(ValueError, match="got 3"):
        make(3)
    with pytest.raises(ValueError, match="must be one of"):
        make("absent")


def test_own_source_by_spec():
    (name,), weights = specs.open_sources(f"{HERE}:Stripes,length=3,weight=2", image_size=16)
    assert name == f"{HERE}:Stripes,length=3" and weights[name] == 2
    source = specs.open_source(f"{HERE}:Stripes,length=3", image_size=16)
    assert len(source) == 3 and source[1]["name"] == "stripes1"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("Stripes,depth=3", "does not take these options.*depth"),
        ("Stripes,length=0", "holds no images"),
        ("no_source", "gave int"),
        ("wrong_labels", r"int64 \[12, 12\]; it must be int32 \[12, 12\]"),
        ("absent", "has no absent"),
        ("negative_labels", "holds -3; ids begin at 0"),
        ("fails", r"failed: KeyError: 'missing', own_parts\.py line"),
        ("FailsAtItems", r"item 0 of .*: KeyError: 'missing', own_parts\.py line"),
    ],
)
def test_what_is_no_source_is_told(spec, says):
    with pytest.raises(InputError, match=says):
        specs.open_source(f"{HERE}:{spec}", image_size=16)


def training():
    config = config_lib.load("base:smoke")
    config.model.image_size = 16
    config.model.net.base_channels = 8
    config.train.update(num_steps=4, eval_every=4, checkpoint_every=4, batch_size=2)
    config.eval.data = ""
    return config


@pytest.mark.slow
def test_model_and_sources_given_in_python(tmp_path):
    own = tiny(model__num_bits=4)
    state = loop.train(training(), tmp_path, model=own, sources=own_parts.Stripes())
    with pytest.raises(InputError, match="load it there with model="):
        load(tmp_path)
    loaded = load(tmp_path, "raw", model=own)
    assert loaded.model is own and loaded.step == 4
    for ours, theirs in zip(
        jax.tree.leaves(state.params), jax.tree.leaves(loaded.params), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_several_sources_by_name():
    sources = {"a": own_parts.Stripes(), "b": own_parts.Stripes("9")}
    made = setup.prepare(training(), sources=sources)
    batch = next(iter(made.open_batches(1)))
    assert batch["image"].shape == (2, 16, 16, 3)
    with pytest.raises(InputError, match="'a' gave int"):
        setup.prepare(training(), sources={"a": 3})
