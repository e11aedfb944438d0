"""What Segment Anything's automatic mask generator writes."""

import json

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions import masks_to_partition, open_predictions, sam
from bitdiff_jax.evaluation.predictions.masks_to_partition import Rule
from tests.evaluation.predictions import forms

TRUTH = {name: forms.masks(seed) for seed, name in enumerate(("a", "b.c", "2"))}


def write_rle(root, encode=forms.packed, wrap=lambda records: records):
    for name, (masks, scores) in TRUTH.items():
        records = [forms.sam_record(m, s, encode) for m, s in zip(masks, scores, strict=True)]
        forms.write_json(root / f"{name}.json", wrap(records))
    return root


def write_folders(root):
    for name, (masks, scores) in TRUTH.items():
        forms.amg_folder(root / name, masks, scores)
    return root


def sa_1b(records):
    return {"image": {"image_id": 1, "height": forms.H, "width": forms.W}, "annotations": records}


WRITERS = {
    "coco_rle": write_rle,
    "uncompressed_rle": lambda root: write_rle(root, forms.unpacked),
    "sa_1b": lambda root: write_rle(root, wrap=sa_1b),
    "binary_mask": write_folders,
}


@pytest.mark.parametrize("form", WRITERS)
def test_the_smaller_mask_is_on_top(tmp_path, form):
    predictions = open_predictions(WRITERS[form](tmp_path))
    assert predictions.kind == "sam" and predictions.names == ("2", "a", "b.c")
    for name, (masks, scores) in TRUTH.items():
        expected = masks_to_partition.partition(masks, scores, rule=Rule("smaller"))
        np.testing.assert_array_equal(predictions.maps(name)[0], expected.labels)
        np.testing.assert_array_equal(predictions.scores(name), expected.scores)
    # The second mask is nearly the whole picture, and hides nothing.
    assert len(predictions.scores("a")) >= 4


def test_another_rule(tmp_path):
    rule = Rule(min_score=0.3)
    predictions = open_predictions(write_rle(tmp_path), rule=rule)
    masks, scores = TRUTH["a"]
    expected = masks_to_partition.partition(masks, scores, rule=rule).labels
    np.testing.assert_array_equal(predictions.maps("a")[0], expected)


def test_one_file_and_memory(tmp_path):
    write_rle(tmp_path)
    predictions = open_predictions(tmp_path / "a.json", like=["a.jpg"])
    assert predictions.names == ("a.jpg",)
    records = [
        forms.sam_record(mask, score, lambda mask: mask)
        for mask, score in zip(*TRUTH["a"], strict=True)
    ]
    result = sam.partition_of(records)
    np.testing.assert_array_equal(result.labels, predictions.maps("a.jpg")[0])
    assert sam.partition_of([], shape=(2, 2)).labels.min() == -1


@pytest.mark.parametrize("folders", [False, True])
def test_no_mask_at_all(tmp_path, folders):
    if folders:
        write_folders(tmp_path)
        forms.amg_folder(tmp_path / "0", [], [])
    else:
        write_rle(tmp_path)
        forms.write_json(tmp_path / "0.json", [])
    predictions = open_predictions(tmp_path)
    assert predictions.names[0] == "0"
    np.testing.assert_array_equal(predictions.maps("0", (2, 3))[0], np.full((2, 3), -1))
    assert len(predictions.scores("0")) == 0
    with pytest.raises(InputError, match="name the picture's shape"):
        predictions.maps("0")


def test_errors_are_one_line(tmp_path):
    write_rle(tmp_path)
    predictions = open_predictions(tmp_path)
    records = json.loads((tmp_path / "a.json").read_text())
    for change, words in (
        (
            records[:2] + [forms.sam_record(np.ones((3, 3)), 0.5)],
            r"mask 2: a mask of size \[3, 3\]",
        ),
        ([{"predicted_iou": 1, "segmentation": "x"}], "has no size"),
        ([3], "mask 0"),
        ([records[0] | {"predicted_iou": None}, records[1]], "'predicted_iou'"),
    ):
        forms.write_json(tmp_path / "a.json", change)
        with pytest.raises(InputError, match=words) as error:
            predictions.maps("a")
        assert "\n" not in str(error.value) and "a.json" in str(error.value)
    (tmp_path / "a.json").write_text("[{")
    with pytest.raises(InputError, match="not a whole JSON file"):
        predictions.maps("a")
    (tmp_path / "a.json").unlink()
    with pytest.raises(InputError, match="no such file"):
        predictions.maps("a")


def test_damaged_folders(tmp_path):
    write_folders(tmp_path)
    predictions = open_predictions(tmp_path)
    (tmp_path / "a" / "3.png").unlink()
    with pytest.raises(InputError, match=r"3\.png: no such file"):
        predictions.maps("a")
    (tmp_path / "b.c" / "metadata.csv").write_text("id,area\n0,5\n")
    with pytest.raises(InputError, match=r"not the table that amg\.py writes"):
        predictions.maps("b.c")


@pytest.mark.parametrize("inside", [1, 200, 255])
def test_masks_are_bright_whatever_their_brightest_value(tmp_path, inside):
    masks, scores = TRUTH["a"]
    forms.amg_folder(tmp_path / "a", masks, scores)
    for file in (tmp_path / "a").glob("*.png"):
        Image.fromarray((np.asarray(Image.open(file)) > 0).astype(np.uint8) * inside).save(file)
    table = tmp_path / "a/metadata.csv"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())
    (tmp_path / "._a.json").write_bytes(b"x")  # beside the items, from macOS
    expected = masks_to_partition.partition(masks, scores, rule=Rule("smaller"))
    np.testing.assert_array_equal(open_predictions(tmp_path).maps("a")[0], expected.labels)
