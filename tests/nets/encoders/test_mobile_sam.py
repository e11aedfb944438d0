"""MobileSAM's encoder against onnxruntime's features, and its weights in each published form."""

import pathlib

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.nets import encoders
from bitdiff_jax.nets.encoders import pretrained, tiny_vit
from bitdiff_jax.nets.encoders.original_names import Originals
from tests.nets.encoders.images import waves

HERE = pathlib.Path(__file__).parent
SMALL = encoders.make("mobile_sam", image_size=64)


@pytest.fixture(scope="module")
def params():
    return encoders.load_params(SMALL, encoders.bundled("mobile_sam"))


def features(params, image, size):
    encoder = encoders.make("mobile_sam", image_size=image.shape[0])
    return np.asarray(jax.jit(encoder.apply)(params, image[None], np.array([size], np.int32))[0])


@pytest.mark.slow
def test_features_are_onnxruntimes(params):
    """benchmarks/against_peers/mobile_sam.py wrote the reference."""
    expected = np.load(HERE / "mobile_sam_1024.npy")
    found = features(params, waves(1024), (700, 1024))
    assert found.shape == (64, 64, 256) and found.dtype == np.float32
    np.testing.assert_allclose(found[::8, ::8], expected, rtol=0, atol=1e-3)


@pytest.mark.slow
def test_what_lies_beyond_the_size_is_ignored(params):
    image = waves(64)
    changed = image.copy()
    changed[40:], changed[:, 50:] = 7, 9
    np.testing.assert_array_equal(
        features(params, image, (40, 50)), features(params, changed, (40, 50))
    )
    assert np.abs(features(params, image, (40, 50)) - features(params, image, (64, 64))).max() > 0.1


@pytest.mark.slow
def test_an_image_alone_and_in_a_batch(params):
    images = np.stack([waves(64), waves(128)[64:, 64:], waves(64)[::-1]])
    sizes = np.array([[64, 64], [30, 64], [64, 17]], np.int32)
    together = jax.jit(SMALL.apply)(params, images, sizes)
    assert together.shape == (3, 4, 4, 256)
    for i in range(3):
        alone = features(params, images[i], sizes[i])
        np.testing.assert_allclose(together[i], alone, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_windows_cover_any_grid():
    """Attention within each window is that of the window alone, zeros where the grid ends."""
    x = np.random.default_rng(0).normal(size=(1, 9, 16, 32)).astype(np.float32)
    attention = tiny_vit.Attention(num_heads=1, window=7)
    variables = attention.init(jax.random.key(0), jnp.zeros((1, 49, 32)))
    biases = np.random.default_rng(1).normal(size=(1, 49)).astype(np.float32)
    variables["params"]["attention_biases"] = biases
    found = tiny_vit.in_windows(lambda cells: attention.apply(variables, cells), x, 7)
    assert found.shape == x.shape
    window = np.zeros((7, 7, 32), np.float32)
    window[:2, :2] = x[0, 7:, 14:]
    alone = attention.apply(variables, window.reshape(1, 49, 32)).reshape(7, 7, 32)
    np.testing.assert_allclose(found[0, 7:, 14:], alone[:2, :2], atol=1e-5)


def test_biases_are_by_distance():
    index = tiny_vit.distance_index(7)
    assert index.shape == (49, 49)
    assert index[0, 10] == index[10, 0] == 10  # one row and three columns apart
    assert index[8, 18] == 10 and index[6, 7] == 13  # one row and six columns
    assert (np.sort(index[0]) == np.arange(49)).all()


def official(params, rng):
    """A state dict as mobile_sam.pt has it, whose folded convolutions are `params`."""
    state = {"mask_decoder.x.weight": np.zeros(3), "image_encoder.head.bias": np.zeros(2)}
    for name, value in flax.traverse_util.flatten_dict(params, sep="/").items():
        value = np.asarray(value, np.float32)
        *path, leaf = name.split("/")
        module = "image_encoder." + ".".join(path)
        for ours, theirs in (
            ("patch_embed_", "patch_embed.seq."), ("layers_", "layers."), ("neck_", "neck."),
            ("_blocks_", ".blocks."), ("_downsample", ".downsample"),
        ):  # fmt: skip
            module = module.replace(ours, theirs)
        # Batch norms stand behind the convolutions of the trunk, which have a bias when folded.
        normed = "norm" not in module and any(
            part in module for part in ("conv", "patch_embed", "downsample")
        )
        if leaf == "kernel":
            if value.ndim == 2:
                value = value[None, None] if normed or module.endswith("neck.0") else value
            value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
        if not normed:
            state[f"{module}.{ {'kernel': 'weight', 'scale': 'weight'}.get(leaf, leaf) }"] = value
            continue
        if leaf == "bias":
            scale, mean = rng.uniform(0.5, 2, value.shape), rng.normal(size=value.shape)
            variance = rng.uniform(0.5, 2, value.shape)
            std = np.sqrt(variance + 1e-5)
            state[f"{module}.bn.weight"], state[f"{module}.bn.running_mean"] = scale, mean
            state[f"{module}.bn.running_var"] = variance
            state[f"{module}.bn.bias"] = value + mean * scale / std
            state[f"{module}.bn.num_batches_tracked"] = np.array(5)
        else:
            state[f"{module}.c.weight"] = value
    for name in [name for name in state if name.endswith(".c.weight")]:
        norm = name.removesuffix("c.weight") + "bn."
        std = np.sqrt(state[norm + "running_var"] + 1e-5)
        state[name] = state[name] * (std / state[norm + "weight"])[:, None, None, None]
    return state


def test_the_official_names_with_batch_norms_give_the_same_parameters(params):
    state = official(params, np.random.default_rng(2))
    found = _from_official(state)
    for name, value in flax.traverse_util.flatten_dict(params, sep="/").items():
        np.testing.assert_allclose(found[name], np.asarray(value, np.float32), atol=1e-5)


@pytest.mark.slow
def test_official_weights_that_do_not_fit_are_named(params):
    state = official(params, np.random.default_rng(2))
    whole = dict(state)
    del state["image_encoder.layers.2.blocks.3.attn.qkv.bias"]
    with pytest.raises(InputError, match=r"no tensor 'layers.2.blocks.3.attn.qkv.bias'"):
        _from_official(state)
    whole["image_encoder.layers.4.x"] = np.zeros(1)
    with pytest.raises(InputError, match=r"has a tensor 'layers.4.x', which mobile_sam has no pl"):
        _from_official(whole)


def _from_official(state):
    from bitdiff_jax.nets.encoders.params_files import laid_out

    shapes = flax.traverse_util.flatten_dict(jax.eval_shape(SMALL.init, jax.random.key(0)), sep="/")
    found = SMALL.from_original(Originals("mobile_sam.pt", state, "mobile_sam"), list(shapes))
    return {name: laid_out(each, name, shapes[name].ndim) for name, each in found.items()}


def test_weights_of_the_package_are_those_that_it_was_made_with(params, tmp_path, monkeypatch):
    loaded = pretrained.load(SMALL)
    np.testing.assert_array_equal(loaded["neck_0"]["kernel"], params["neck_0"]["kernel"])
    data = bytearray(encoders.bundled("mobile_sam").read_bytes())
    data[-1] ^= 1
    path = tmp_path / "mobile_sam.safetensors"
    path.write_bytes(data)
    monkeypatch.setattr(encoders.params_files, "_BUNDLED", tmp_path)
    with pytest.raises(InputError, match=r"hash [0-9a-f]{12}, not f924326b9e42; install bitdiff_j"):
        pretrained.load(SMALL)
    pretrained.load(SMALL, str(path))  # somebody's own file


@pytest.mark.parametrize("side", [0, 100, 1000.0])
def test_a_side_that_cannot_be_encoded_is_an_error_of_one_line(side):
    with pytest.raises(InputError, match=f"image_size is {side}; give a positive multiple of 16"):
        encoders.make("mobile_sam", image_size=side)
