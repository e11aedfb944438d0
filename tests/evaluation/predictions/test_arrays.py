"""Predictions in numpy's files."""

import numpy as np
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions import masks_to_partition, open_predictions
from tests.evaluation.predictions import forms

LABELS = np.random.default_rng(0).integers(-1, 4, (5, 6))


def test_labels_in_their_forms(tmp_path):
    large = LABELS.astype(np.int64) * 500_000_000
    large[LABELS < 0] = -1
    np.savez(tmp_path / "a.npz", LABELS)
    np.savez_compressed(tmp_path / "b.npz", labels=np.stack([LABELS, LABELS.T.reshape(5, 6)]), x=1)
    np.savez(tmp_path / "c.npz", labels=large, scores=[0.5])
    np.savez(tmp_path / "d.npz", labels=LABELS, scores=[0.5, 0.6, 0.7, 0.8])
    np.save(tmp_path / "e.npy", LABELS.astype(np.uint8) * 0)
    np.savez(tmp_path / "f.npz", large)
    predictions = open_predictions(tmp_path)
    assert predictions.kind == "npz" and predictions.names == tuple("abcdef")
    np.testing.assert_array_equal(predictions.maps("a", (5, 6))[0], LABELS)
    assert len(predictions.maps("b")) == 2 and predictions.maps("b")[1].dtype == np.int32
    with pytest.raises(InputError, match="one a region"):
        predictions.maps("c")
    np.testing.assert_array_equal(predictions.scores("d"), [0.5, 0.6, 0.7, 0.8])
    np.testing.assert_array_equal(predictions.maps("f")[0], large)
    assert predictions.scores("e") is None and not predictions.maps("e")[0].any()


@pytest.mark.parametrize("keys", [("masks", "scores"), ("segmentation", "predicted_iou")])
def test_masks_and_scores(tmp_path, keys):
    masks, scores = forms.masks(4)
    np.savez(tmp_path / "a.npz", **{keys[0]: masks, keys[1]: scores})
    np.savez(tmp_path / "b.npz", **{keys[0]: masks[:0], keys[1]: []})
    predictions = open_predictions(tmp_path)
    expected = masks_to_partition.partition(masks, scores)
    np.testing.assert_array_equal(predictions.maps("a")[0], expected.labels)
    np.testing.assert_array_equal(predictions.scores("a"), expected.scores)
    np.testing.assert_array_equal(predictions.maps("b")[0], np.full(masks.shape[1:], -1))


def test_one_file_of_many_images(tmp_path):
    path = tmp_path / "all.npz"
    np.savez(path, **{"val/1.jpg": LABELS, "2": np.stack([LABELS] * 3)})
    predictions = open_predictions(path, like=["0002.jpg", "1.jpg"])
    assert predictions.names == ("0002.jpg", "1.jpg")
    assert len(predictions.maps("0002.jpg")) == 3
    np.testing.assert_array_equal(predictions.maps("1.jpg")[0], LABELS)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"labels": np.ones((2, 2))}, "must be integers"),
        ({"labels": np.ones((1, 1, 2, 2), int)}, "must be integers"),
        ({"labels": np.ones((0, 2), int)}, "must be integers"),
        ({"labels": np.full((2, 2), -2)}, "ids -2"),
        ({"labels": np.full((2, 2), 2**31)}, "ids 2147483648"),
        ({"labels": np.zeros((2, 2), object)}, "Python objects"),
        ({"x": LABELS, "y": LABELS}, "holds x, y"),
        ({"labels": LABELS, "scores": [1.0]}, "one a region"),
        ({"masks": np.ones((2, 2))}, "masks must be 0 or 1"),
        ({"masks": np.full((1, 2, 2), -1)}, "masks must be 0 or 1"),
        ({"masks": np.array([[[0, 1, 2]]])}, "masks must be 0 or 1"),
        ({"masks": np.ones((2, 2, 2), bool), "scores": [1.0]}, "2 masks"),
    ],
)
def test_errors_are_one_line(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=words) as error:
        open_predictions(tmp_path).maps("a")
    assert "\n" not in str(error.value) and "a.npz" in str(error.value)


def test_damaged_files(tmp_path):
    np.savez(tmp_path / "a.npz", LABELS)
    data = (tmp_path / "a.npz").read_bytes()
    predictions = open_predictions(tmp_path)
    flipped = bytearray(data)
    flipped[150] ^= 255
    for broken in (b"", b"no numpy", data[:50], data[:-30], bytes(flipped)):
        (tmp_path / "a.npz").write_bytes(broken)
        with pytest.raises(InputError, match=r"write it with numpy\.savez") as error:
            predictions.maps("a")
        assert "\n" not in str(error.value)
    (tmp_path / "a.npz").unlink()
    with pytest.raises(InputError, match="no such file"):
        predictions.maps("a")


@pytest.mark.parametrize("value", [1, 255])
def test_masks_of_one_image_in_one_file(tmp_path, value):
    """The arrays of the file of one image are not images called masks and scores."""
    masks = np.zeros((2, 3, 4), np.uint8)
    masks[0, 0] = masks[1, 1:] = value
    np.savez(tmp_path / "a.npz", masks=masks, scores=np.array([0.5, 0.75]))
    predictions = open_predictions(tmp_path / "a.npz", like=["a.jpg"])
    assert predictions.names == ("a.jpg",)
    np.testing.assert_array_equal(predictions.maps("a.jpg")[0], [[0] * 4, [1] * 4, [1] * 4])
    np.testing.assert_array_equal(predictions.scores("a.jpg"), [0.5, 0.75])
    np.savez(tmp_path / "many.npz", labels=np.zeros((3, 4), int), b=np.ones((3, 4), int))
    assert open_predictions(tmp_path / "many.npz").names == ("b", "labels")
    np.savez(tmp_path / "b.npz", np.zeros((3, 4), int))
    assert open_predictions(tmp_path / "b.npz").names == ("b",)
