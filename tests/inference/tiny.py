"""A checkpoint of a tiny network with random parameters, made without training or compiling."""

import atexit
import functools
import pathlib
import tempfile

import jax
import jax.numpy as jnp
import numpy as np

from bitdiff_jax import config as config_lib
from bitdiff_jax import model_config
from bitdiff_jax.checkpoint import Checkpoints, describe
from bitdiff_jax.inference import Segmenter

STEP = 7
TRAINED_ON = "drawn scenes"
SIZE = 16


def tiny_config(**model):
    config = config_lib.load("base:smoke")
    config.model.image_size = SIZE
    config.model.net.implementation = "tests.own_network:ThreeConvs"  # compiles in a tenth
    config.model.update(model)
    return config


def random_params(model, seed=0):
    """Parameters with which a sample is neither one region nor the same for every picture."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        kind = path[-1].key
        if kind == "kernel":
            value = rng.normal(0, np.prod(leaf.shape[:-1]) ** -0.5, leaf.shape)
            if path[0].key in ("first", "second"):  # of `own_network`: what blurs draws regions
                value = np.abs(value)
        else:
            value = np.full(leaf.shape, 1.0 if kind == "scale" else 0.0)
        return jnp.asarray(value, leaf.dtype)

    return jax.tree_util.tree_map_with_path(draw, jax.eval_shape(model.init, jax.random.key(0)))


def save_checkpoint(workdir, config=None, trained_on=TRAINED_ON, edit_about=None, params=None):
    """Saves `params` as the averaged parameters, and others as the raw ones."""
    config = config or tiny_config()
    model = model_config.from_config(config)
    state = {
        "step": jnp.int32(STEP),
        "params": random_params(model, seed=1),
        "ema_params": random_params(model) if params is None else params,
        "opt_state": {"count": jnp.int32(STEP)},
    }
    about = describe(config, "0" * 12, trained_on)
    if edit_about:
        edit_about(about)
    with Checkpoints(workdir) as checkpoints:
        checkpoints.save(STEP, state, about)
    return pathlib.Path(workdir)


@functools.cache
def shared():
    """(workdir, segmenter), one for all tests of the process: they share its compiled programs."""
    folder = tempfile.TemporaryDirectory(prefix="bitdiff_tiny_")
    atexit.register(folder.cleanup)
    workdir = save_checkpoint(folder.name)
    return workdir, Segmenter.from_checkpoint(workdir)


def image(height, width, seed=0):
    """Coloured blocks and a little noise, uint8 [height, width, 3]."""
    rng = np.random.default_rng(seed)
    colors = rng.integers(30, 220, (3, 3, 3))
    rows = np.arange(height) * 3 // height
    columns = np.arange(width) * 3 // width
    blocks = colors[rows[:, None], columns]
    return (blocks + rng.integers(-20, 20, blocks.shape)).astype(np.uint8)
