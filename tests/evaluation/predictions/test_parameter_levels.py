"""Sweeps are told from samples, and read level by level."""

import numpy as np
import pytest

from bitdiff_jax.data import images
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions import open_predictions


def write(root, levels=("10", "2", "0.5"), names=("a", "b")):
    for i, level in enumerate(levels):
        (root / level).mkdir(parents=True)
        for name in names:
            images.write_labels(root / level / f"{name}.png", np.full((3, 4), i + 1))
    return root


def test_folders_in_the_order_of_their_numbers(tmp_path):
    found = open_predictions(write(tmp_path))
    assert (found.kind, found.names, found.levels) == ("levels", ("a", "b"), ("0.5", "2", "10"))
    assert [int(ids.max()) for ids in found.maps("b", (3, 4))] == [3, 2, 1]
    assert found.score_per_region() == "constant"
    (tmp_path / "2/b.png").unlink()
    found = open_predictions(tmp_path, like=["x/a.jpg", "x/b.jpg"])
    assert found.names == ("x/a.jpg", "x/b.jpg") and len(found.maps("x/a.jpg")) == 3
    with pytest.raises(InputError, match=r"no map at level 2$"):
        found.maps("x/b.jpg")
    with pytest.raises(InputError, match="no prediction for 'z'"):
        found.maps("z")


def test_only_numbers_are_levels_unasked(tmp_path):
    write(tmp_path, levels=("fine", "coarse"))
    with pytest.raises(InputError, match="no predictions that are known"):
        open_predictions(tmp_path)
    assert open_predictions(tmp_path, "levels").levels == ("coarse", "fine")


def test_samples_are_no_levels(tmp_path):
    for k in range(3):
        images.write_labels(tmp_path / f"a_{k}.png", np.zeros((3, 4), int))
    found = open_predictions(tmp_path, like=["a"])
    assert found.kind == "png" and found.levels is None and len(found.maps("a")) == 3
    with pytest.raises(InputError, match="no predictions of kind 'levels'"):
        open_predictions(tmp_path, "levels")
    # Folders of different pictures are several sets, and not one at several levels.
    write(tmp_path / "sets", levels=("1",), names=("a",))
    write(tmp_path / "sets", levels=("2",), names=("b",))
    with pytest.raises(InputError, match="no predictions that are known"):
        open_predictions(tmp_path / "sets")
    for level in ("1", "2"):
        for k in range(2):
            images.write_labels(tmp_path / f"sets/{level}/c_{k}.png", np.zeros((3, 4), int))
    with pytest.raises(InputError, match="2 samples at level 1"):
        open_predictions(tmp_path / "sets", "levels", like=["c"]).maps("c")
    found = open_predictions(tmp_path / "sets", "levels")
    assert {"c_0", "c_1"} < set(found.names)


def test_folders_of_images_are_no_levels(tmp_path):
    """Numbers may be names of images, with files 0.png, 1.png of a mask each."""
    write(tmp_path, levels=("139", "785"), names=("0", "1"))
    for other in ("__MACOSX", ".hidden"):
        (tmp_path / other).mkdir()
        (tmp_path / other / "._0.png").write_bytes(b"x")
    assert open_predictions(tmp_path, like=["0", "1"]).levels == ("139", "785")
    with pytest.raises(InputError, match=r"may be the image '000139.jpg'.*kind=levels"):
        open_predictions(tmp_path, like=["000139.jpg"])
    assert open_predictions(tmp_path, "levels", like=["000139.jpg"]).names == ("0", "1")


def test_arrays_of_levels(tmp_path):
    levels = np.arange(24).reshape(2, 3, 4) - 1
    np.savez(tmp_path / "a.npz", levels=levels)
    for path in (tmp_path, tmp_path / "a.npz"):
        found = open_predictions(path)
        assert (found.kind, found.names, found.levels) == ("levels", ("a",), ("0", "1"))
        np.testing.assert_array_equal(found.maps("a"), levels)
    with pytest.raises(InputError, match="kind=levels"):
        open_predictions(tmp_path, "npz").maps("a")
    np.savez(tmp_path / "b.npz", levels=levels, thresholds=[0.25, 1.0])
    with pytest.raises(InputError, match=r"levels are 0.25, 1 and those of another picture 0, 1"):
        open_predictions(tmp_path).maps("b")
    # Samples go by any other name.
    np.savez(tmp_path / "c.npz", labels=levels)
    with pytest.raises(InputError, match="no array 'levels'"):
        open_predictions(tmp_path).maps("c")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"levels": np.zeros((3, 4), int)}, r"must be \[n, h, w\]"),
        ({"levels": np.zeros((2, 3, 4))}, "integers"),
        ({"levels": np.zeros((1, 3, 4), int)}, "two or more"),
        ({"levels": np.zeros((2, 3, 4), int), "thresholds": np.ones(3)}, r"numbers \[2\]"),
    ],
)
def test_errors_are_one_line(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=words) as error:
        open_predictions(tmp_path).maps("a")
    assert "\n" not in str(error.value)
