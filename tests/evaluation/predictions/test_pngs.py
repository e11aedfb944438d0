"""Folders of id PNGs, and what `bitdiff segment` writes."""

import os

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.data import images
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions import open_predictions
from bitdiff_jax.inference import outputs
from bitdiff_jax.inference.region_table import Region
from tests.evaluation.predictions import forms


def ids(seed, high=5, shape=(6, 7)):
    return np.random.default_rng(seed).integers(0, high, shape).astype(np.int32)


def write(folder, **maps):
    folder.mkdir(parents=True, exist_ok=True)
    for name, labels in maps.items():
        images.write_labels(folder / f"{name}.png", labels)
    return folder


def test_one_map_a_image(tmp_path):
    folder = write(tmp_path, b=ids(1), a=ids(2, 65_536), frame_0001=ids(3))
    Image.fromarray(ids(4, 200).astype(np.uint8)).convert("P").save(folder / "p.png")
    (folder / "notes.txt").write_text("not a map")
    (folder / ".hidden.png").write_bytes(b"")
    predictions = open_predictions(folder)
    assert predictions.kind == "png"
    assert predictions.names == ("a", "b", "frame_0001", "p")
    np.testing.assert_array_equal(predictions.maps("a", (6, 7))[0], ids(2, 65_536))
    np.testing.assert_array_equal(predictions.maps("b")[0], ids(1))
    assert predictions.scores("b") is None and predictions.rule is None


def test_ids_beyond_16_bits(tmp_path):
    large = ids(1, 2**24)
    large[0, 0] = 70_000
    Image.fromarray(large).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(open_predictions(tmp_path).maps("a")[0], large)
    colour = tmp_path / "colour"
    colour.mkdir()
    Image.fromarray(forms.id2rgb(large)).save(colour / "a.png")
    np.testing.assert_array_equal(open_predictions(colour, "rgb_png").maps("a")[0], large)
    with pytest.raises(InputError, match="RGB"):
        open_predictions(colour).maps("a")


def test_samples(tmp_path):
    # Eleven samples: 10 comes after 9, not after 1.
    folder = write(tmp_path, **{f"a_{i}": ids(i) for i in range(11)}, b=ids(20), c_1=ids(21))
    predictions = open_predictions(folder, names="sample_suffix")
    assert predictions.names == ("a", "b", "c")
    for i, labels in enumerate(predictions.maps("a")):
        np.testing.assert_array_equal(labels, ids(i))
    assert len(predictions.maps("a")) == 11 and len(predictions.maps("c")) == 1


def test_the_truth_says_what_is_a_sample(tmp_path):
    folder = write(tmp_path, a_0=ids(0), a_1=ids(1), b_0=ids(2), b_1=ids(3), c_1=ids(4), c_7=ids(5))
    predictions = open_predictions(folder, like=["a_0.jpg", "x/a_1.jpg", "b.jpg", "c"])
    assert predictions.names == ("a_0.jpg", "b.jpg", "c", "x/a_1.jpg")
    assert [len(predictions.maps(name)) for name in predictions.names] == [1, 2, 2, 1]


def test_the_folder_of_segment(tmp_path):
    regions = {"a": 4, "b": 2, "c": 1}
    rows = []
    for name, count in regions.items():
        labels = np.arange(42).reshape(6, 7) % count + 1
        for suffix, pixels in (
            ("labels", outputs.as_ids(labels)),
            ("colours", outputs.colours(labels)),
            ("overlay", outputs.overlay(np.zeros((6, 7, 3), np.uint8), labels)),
            ("agreement", outputs.agreement_with_legend(np.ones((6, 7)), 2)),
        ):
            outputs.save_png(tmp_path / f"{name}_{suffix}.png", pixels)
        found = [
            Region(k, 3, (0, 0, 1, 1), (0.5, 0.5), (1.0, 2.0, 3.0), None if name == "b" else k / 8)
            for k in range(1, count + 1)
        ]
        if name != "c":
            rows += outputs.region_fields(name, f"{name}.jpg", found)
    (tmp_path / "regions.csv").write_bytes(outputs.as_csv(outputs.CSV_COLUMNS, *rows))
    predictions = open_predictions(tmp_path)
    assert predictions.kind == "segment" and predictions.names == ("a", "b", "c")
    np.testing.assert_array_equal(predictions.maps("a")[0], np.arange(42).reshape(6, 7) % 4)
    np.testing.assert_array_equal(predictions.scores("a"), np.arange(1, 5) / 8)
    assert predictions.scores("b") is None and predictions.scores("c") is None
    (tmp_path / "regions.csv").write_text("image,agreement\na,no\n")
    with pytest.raises(InputError, match="not the table"):
        open_predictions(tmp_path)


def test_errors_are_one_line(tmp_path):
    folder = write(tmp_path / "maps", a_0=ids(0), a_1=ids(1, shape=(7, 6)), b=ids(2), c=ids(3))
    predictions = open_predictions(folder, like=["a"])
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:-30])
    (folder / "c.png").unlink()
    for name, shape, words in (
        ("a", None, "sizes 7x6 and 6x7|sizes 6x7 and 7x6"),
        ("b", None, "damaged"),
        ("c", None, "no such file"),
        ("d", None, "no prediction for 'd' among 3"),
    ):
        with pytest.raises(InputError, match=words) as error:
            predictions.maps(name, shape)
        assert "\n" not in str(error.value)
    write(folder, b=ids(2))
    with pytest.raises(InputError, match="b is 7x6, its picture is 5x5"):
        open_predictions(folder).maps("b", (5, 5))
    Image.fromarray(ids(0).astype(np.uint8)).save(folder / "b.tif")
    with pytest.raises(InputError, match="a second map of b"):
        open_predictions(folder)


@pytest.mark.parametrize("ending", ["tif", "TIFF", "bmp", "gif", "pgm", "PNG"])
def test_every_format_that_keeps_numbers(tmp_path, ending):
    Image.fromarray(ids(1).astype(np.uint8)).save(tmp_path / f"a.{ending}")
    predictions = open_predictions(tmp_path)
    assert predictions.names == ("a",)
    np.testing.assert_array_equal(predictions.maps("a")[0], ids(1))


def test_photographs_beside_maps_and_in_their_place(tmp_path):
    write(tmp_path, a=ids(0), b_0=ids(1), b_1=ids(2))
    for name in "abc":
        Image.fromarray(np.zeros((6, 7, 3), np.uint8)).save(tmp_path / f"{name}.jpg")
    assert open_predictions(tmp_path, like=["a", "b"]).names == ("a", "b")
    predictions = open_predictions(tmp_path, like=["a", "b", "c"])
    assert predictions.names == ("a", "b", "c") and len(predictions.maps("b")) == 2
    with pytest.raises(InputError, match="JPEG alters region ids"):
        predictions.maps("c")
    alone = tmp_path / "alone"
    alone.mkdir()
    (tmp_path / "a.jpg").rename(alone / "a.jpg")
    with pytest.raises(InputError, match="JPEG alters region ids"):
        open_predictions(alone).maps("a")


def test_what_systems_put_beside_files(tmp_path):
    write(tmp_path, a=ids(0))
    (tmp_path / "._a.png").write_bytes(b"x")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "._a.png").write_bytes(b"x")
    assert open_predictions(tmp_path).names == ("a",)


def test_names_that_are_no_utf_8(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    write(tmp_path, **{f"{name}_0": ids(0), f"{name}_1": ids(1)})
    predictions = open_predictions(tmp_path, like=[r"caf\xe9"])
    assert predictions.names == (r"caf\xe9",) and len(predictions.maps(r"caf\xe9")) == 2
    segmented = tmp_path / "segmented"
    segmented.mkdir()
    outputs.save_png(segmented / f"{name}_labels.png", outputs.as_ids(ids(0) + 1))
    region = Region(1, 3, (0, 0, 1, 1), (0.5, 0.5), (1.0, 2.0, 3.0), 0.5)
    table = outputs.as_csv(
        outputs.CSV_COLUMNS, *outputs.region_fields("caf", f"{name}.jpg", [region])
    )
    # The mark is what a spreadsheet saves.
    (segmented / "regions.csv").write_bytes(b"\xef\xbb\xbf" + table)
    assert open_predictions(segmented).names == (r"caf\xe9",)
