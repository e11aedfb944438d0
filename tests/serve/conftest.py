import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.inference.segmentation import Segmentation
from bitdiff_jax.serve.limits import Limits
from bitdiff_jax.serve.result_view import ResultView
from bitdiff_jax.serve.service import Service
from tests.inference import tiny


@pytest.fixture(scope="session")
def segmenter():
    return tiny.shared()[1]


@pytest.fixture
def service(segmenter):
    return Service(segmenter, Limits(max_bytes=200_000, max_pixels=40_000, max_samples=8))


@pytest.fixture
def photo(tmp_path):
    """A small image file."""
    path = tmp_path / "blocks.png"
    Image.fromarray(tiny.image(40, 60)).save(path)
    return path


def segmentation(codes, scale=4, **fields):
    """The result of samples that are given as they would be drawn, int [n, h', w']."""
    codes = np.asarray(codes, np.int32)
    _, height, width = codes.shape
    return Segmentation(
        image=tiny.image(height * scale, width * scale),
        codes=codes,
        certainty=np.ones(codes.shape, np.float32),
        seed=0,
        name="given",
        min_area=0,
        edges="nearest",
        **fields,
    )


def samples():
    """Four samples of 8 x 12: three halve it, one parts the right half again."""
    halves = np.zeros((8, 12), int)
    halves[:, 6:] = 1
    parted = halves.copy()
    parted[4:, 6:] = 2
    return [halves, halves, halves, parted]


@pytest.fixture
def view():
    return ResultView.of(segmentation(samples()))
