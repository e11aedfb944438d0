"""EfficientNet-Lite0 against PyTorch's features of the same random weights."""

import pathlib

import jax
import numpy as np
import pytest

from bitdiff_jax import weights_files
from bitdiff_jax.errors import InputError
from bitdiff_jax.nets import encoders
from tests.nets.encoders.efficientnet_state import random_state
from tests.nets.encoders.images import waves

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "published.safetensors"
    weights_files.write(path, random_state(), {})
    return path


def features(path, stride):
    encoder = encoders.make("efficientnet_lite0", image_size=64, options={"stride": stride})
    params = encoders.load_params(encoder, path)
    size = np.array([[50, 64]], np.int32)
    found = np.asarray(jax.jit(encoder.apply)(params, waves(64)[None], size)[0])
    assert found.shape == (64 // stride, 64 // stride, encoder.channels)
    assert found.dtype == np.float32
    return found


@pytest.mark.slow
def test_features_are_pytorchs(published):
    """make_references.py wrote the reference."""
    expected = np.load(HERE / "efficientnet_lite0.npy")
    np.testing.assert_allclose(features(published, 16), expected, rtol=0, atol=1e-3)


@pytest.mark.slow
def test_a_coarser_grid_is_the_mean_of_a_finer(published):
    fine, coarse = features(published, 4)[..., :24], features(published, 32)[..., :24]
    mean = fine.reshape(2, 8, 2, 8, 24).mean(axis=(1, 3))
    np.testing.assert_allclose(coarse, mean, atol=1e-4)


def test_a_block_that_is_missing_is_named(tmp_path):
    state = random_state()
    del state["_blocks.7._bn2.running_var"]
    weights_files.write(tmp_path / "w.safetensors", state, {})
    encoder = encoders.make("efficientnet_lite0")
    with pytest.raises(InputError, match=r"has no tensor '_blocks.7._bn2.running_var', which eff"):
        encoders.load_params(encoder, tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"image_size": 48}, "image_size is 48; give a positive multiple of 32"),
        ({"options": {"stride": 7}}, "stride is 7; give one of 4, 8, 16, 32"),
    ],
)
def test_one_line_says_what_is_wrong(keywords, says):
    with pytest.raises(InputError, match=says):
        encoders.make("efficientnet_lite0", **keywords)
