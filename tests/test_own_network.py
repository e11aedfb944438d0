"""A network of one's own through training, checkpoint, sampling, compilation and flops."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax import flops, model_config
from bitdiff_jax.cli import own_options
from bitdiff_jax.cli import train as train_cli
from bitdiff_jax.compile import lowering
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference.loading import load
from bitdiff_jax.training import loop
from tests import own_network

NAME = "tests.own_network:ThreeConvs"
SIDE = 16


def configured(*overrides):
    config = config_lib.load("base:smoke")
    config.model.image_size = SIDE
    config.train.num_steps = 2
    config.optimizer.warmup_steps = config.optimizer.decay_steps = 1
    config.train.log_every = 1
    config.train.checkpoint_every = 2
    config.eval.data = ""
    own = (f"--config.model.net.implementation={NAME}", "--config.model.net.options.width=4")
    return train_cli.override(config, [*own, *overrides])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("own")
    return loop.train(configured(), workdir), workdir


@pytest.mark.slow
def test_it_trains_is_saved_loaded_and_sampled(trained):
    state, workdir = trained
    assert int(state.step) == 2
    assert state.params["first"]["kernel"].shape == (3, 3, 9, 4)
    loaded = load(workdir, "raw")
    assert isinstance(loaded.model.net, own_network.ThreeConvs)
    jax.tree.map(np.testing.assert_array_equal, loaded.params, state.params)
    image = np.zeros((2, SIDE, SIDE, 3), np.uint8)
    size = np.full((2, 2), SIDE, np.int32)
    drawn = jax.jit(loaded.model.sample)(
        loaded.params, image, size, jax.random.split(jax.random.key(0), 2)
    )
    assert drawn.codes.shape == (2, SIDE, SIDE)
    assert drawn.codes.min() >= 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("--config.model.net.options.width=8", r"net\.options\.width=4, the config says 8"),
        ("--config.model.net.options.kernel_size=(1,1)", r"kernel_size=None, the config says"),
        ("--config.model.net.implementation=plain", "the config says plain"),
    ],
)
def test_a_training_does_not_go_on_with_another(trained, argument, says):
    config = configured(argument)
    if "plain" in argument:
        with config.unlocked():
            config.model.net.options = {}
    with pytest.raises(InputError, match=says):
        loop.train(config, trained[1])


@pytest.mark.slow
def test_its_programs_are_lowered_and_its_flops_counted():
    config = configured()
    for program in lowering.PROGRAMS:
        assert lowering.lower(program, config, jax.devices()[:1], 2).as_text()
    inside = 3 * SIDE - 2  # positions of three rows that meet the image
    by_hand = 2 * (inside**2 * (9 * 4 + 4 * 4) + SIDE**2 * 4 * 6 + 4)
    assert flops.forward_flops(model_config.from_config(config)) == by_hand


@pytest.mark.parametrize("part", ["net", "encoder"])
def test_options_of_the_command_line_are_read_as_literals(part):
    config = config_lib.default()
    prefix = f"--config.model.{part}.options."
    rest = own_options.take(
        config, [f"{prefix}a=(1, 2)", "--config.seed=3", f"{prefix}b=.5", f"{prefix}c=gelu"]
    )
    assert rest == ["--config.seed=3"]
    assert dict(config.model[part].options) == {"a": (1, 2), "b": 0.5, "c": "gelu"}
    for wrong in (f"{prefix}a", f"{prefix}=3", f"{prefix}a.b=3"):
        with pytest.raises(InputError, match="is not of the form"):
            own_options.take(config, [wrong])


def of(net):
    return dataclasses.replace(model_config.from_config(configured()), net=net)


@pytest.mark.slow
def test_a_model_takes_any_object_with_init_and_apply():
    model = of(own_network.WithoutFlax(6))
    params = model.init(jax.random.key(0))
    batch = {
        "image": np.zeros((2, SIDE, SIDE, 3), np.uint8),
        "labels": np.zeros((2, SIDE, SIDE), np.int32),
        "size": np.full((2, 2), SIDE, np.int32),
    }
    gradient, _ = jax.jit(jax.grad(model.loss, has_aux=True))(params, batch, jax.random.key(1))
    assert gradient["kernel"].shape == (9, 6) and np.abs(gradient["kernel"]).max() > 0
    assert flops.forward_flops(model) == 2 * SIDE**2 * 9 * 6


def test_a_network_that_returns_another_shape_is_told():
    model = of(own_network.WithoutFlax(5))
    params = jax.eval_shape(model.init, jax.random.key(0))
    x, cond = jnp.zeros((1, SIDE, SIDE, 6)), jnp.zeros((1, SIDE, SIDE, 3))
    with pytest.raises(InputError, match=r"WithoutFlax returned \(1, 16, 16, 5\).*16, 6\)"):
        jax.eval_shape(model.apply, params, x, jnp.zeros(1), cond)


def test_a_network_with_state_is_told():
    model = of(own_network.WithState(6, "none", jnp.dtype("float32")))
    with pytest.raises(InputError, match=r"WithState\.init returned .*batch_stats"):
        jax.eval_shape(model.init, jax.random.key(0))
