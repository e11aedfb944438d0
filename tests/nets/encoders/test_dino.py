"""DINOv2 and DINOv3 against features that `transformers` computes of the same random weights."""

import pathlib

import jax
import numpy as np
import pytest

from bitdiff_jax import weights_files
from bitdiff_jax.errors import InputError
from bitdiff_jax.nets import encoders
from bitdiff_jax.nets.encoders import vision_transformer
from tests.nets.encoders.dino_state import DEPTH, HEADS, WIDTH, random_state
from tests.nets.encoders.images import waves

HERE = pathlib.Path(__file__).parent
SIDES = {2: 70, 3: 80}


def small(version):
    options = {"width": WIDTH, "depth": DEPTH, "num_heads": HEADS}
    return encoders.make(f"dinov{version}_s", image_size=SIDES[version], options=options)


@pytest.mark.slow
@pytest.mark.parametrize("version", [2, 3])
def test_features_are_those_of_transformers(tmp_path, version):
    """make_references.py wrote the references."""
    path, encoder = tmp_path / "model.safetensors", small(version)
    weights_files.write(path, random_state(version), {"format": "pt"})
    params = encoders.load_params(encoder, path)
    image, size = waves(SIDES[version]), np.array([[50, SIDES[version]]], np.int32)
    found = jax.jit(encoder.apply)(params, image[None], size)
    assert found.shape == (1, 5, 5, WIDTH) and found.dtype == np.float32
    expected = np.load(HERE / f"dinov{version}.npy")
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_the_sizes_of_the_published_networks():
    for name, millions in (
        ("dinov2_s", 22.06), ("dinov2_b", 86.58), ("dinov3_s", 21.60), ("dinov3_b", 85.66),
    ):  # fmt: skip
        encoder = encoders.make(name)
        shapes = jax.eval_shape(encoder.init, jax.random.key(0))
        count = sum(each.size for each in jax.tree.leaves(shapes))
        assert encoder.name == name and abs(count / 1e6 - millions) < 0.01


def test_weights_of_the_other_version_are_named(tmp_path):
    weights_files.write(tmp_path / "w.safetensors", random_state(3), {})
    with pytest.raises(InputError, match=r"has no tensor 'embeddings.position_embeddings'|encoder"):
        encoders.load_params(small(2), tmp_path / "w.safetensors")


def test_bicubic_of_the_same_side_changes_nothing():
    np.testing.assert_array_equal(vision_transformer.bicubic(37, 37), np.eye(37))
    np.testing.assert_allclose(vision_transformer.bicubic(37, 10).sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"image_size": 512}, "image_size is 512; give a positive multiple of 14"),
        ({"options": {"depth": 0}}, "depth is 0; give a positive integer"),
        ({"options": {"width": 100}}, r"width is 100; give a multiple of 4 \* num_heads, 24"),
    ],
)
def test_one_line_says_what_is_wrong(keywords, says):
    with pytest.raises(InputError, match=says):
        encoders.make("dinov2_s", **keywords)
