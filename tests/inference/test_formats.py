import sys

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.data import images
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import formats
from bitdiff_jax.inference.segmentation import Segmentation
from tests.inference import tiny


@pytest.fixture
def result():
    codes = np.repeat([[3, 3, 3, 3, 8, 8, 8, 8]], 6, axis=0)
    codes = np.stack([codes, codes, codes * 0]).astype(np.int32)
    sure = np.ones(codes.shape, np.float32)
    return Segmentation(tiny.image(12, 16), codes, sure, 0, "cat", num_codes=64)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_formats_of_the_package(result, tmp_path):
    result.save(tmp_path / "deep" / "out")
    out = tmp_path / "deep" / "out"
    kinds = ("agreement", "colours", "labels", "overlay")
    assert names(out) == [f"cat_{kind}.png" for kind in kinds]
    np.testing.assert_array_equal(images.read_labels(out / "cat_labels.png"), result.label_map())
    shown = np.asarray(Image.open(out / "cat_colours.png"))
    assert shown.shape == (12, 16, 3)
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) == 3  # two regions and their boundary
    grey = np.asarray(Image.open(out / "cat_agreement.png"))
    np.testing.assert_allclose(grey[:12, :16] / 255, result.agreement, atol=0.002)
    assert grey.shape[0] > 12 and grey[12:].min() < 100 < grey[12:].max()


def test_a_format_of_ones_own(result, tmp_path):
    def write_shape(segmentation, folder, name):
        (folder / f"{name}.txt").write_text(str(segmentation.shape))

    result.save(tmp_path, [write_shape, "overlay"], name="dog")
    assert names(tmp_path) == ["dog.txt", "dog_overlay.png"]
    assert (tmp_path / "dog.txt").read_text() == "(12, 16)"


def test_one_sample_has_no_agreement(result, tmp_path):
    single = Segmentation(result.image, result.codes[:1], result.certainty[:1], 0)
    single.save(tmp_path, ["agreement", "id_png"])
    assert names(tmp_path) == ["image_labels.png"]


def test_one_line_says_what_is_wrong(result, tmp_path, monkeypatch):
    def broken(segmentation, folder, name):
        raise KeyError("thing")

    def full(segmentation, folder, name):
        raise OSError(28, "No space left on device")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_number.py").write_text("NUMBER = 3\n")
    for chosen, says in (
        ("jpeg", "'jpeg' is not known; use id_png, colours"),
        ("own_number:NUMBER", "own_number:NUMBER is not a function"),
        ("own_number:OTHER", "own_number has no OTHER"),
        (broken, "broken failed on 'cat': KeyError: 'thing'"),
        (full, "full cannot write .*No space left on device"),
    ):
        with pytest.raises(InputError, match=says) as caught:
            result.save(tmp_path, [chosen])
        assert "\n" not in str(caught.value)
    sys.modules.pop("own_number", None)


def test_the_ends_of_names_are_known():
    chosen = formats.open_formats(["id_png", "overlay", len])
    assert formats.suffixes_of(chosen) == {"_labels.png", "_overlay.png"}


def test_one_name_instead_of_a_list_is_told():
    with pytest.raises(InputError, match=r"formats is 'geojson'; give a list, \['geojson'\]"):
        formats.open_formats("geojson")
