import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.data import readers
from bitdiff_jax.errors import InputError
from tests.data.readers import layouts


@pytest.fixture
def year(tmp_path):
    layouts.voc(tmp_path)
    return tmp_path / "VOCdevkit" / "VOC2012"


def test_any_folder_on_the_way_is_a_root(year, tmp_path):
    for root in (tmp_path, year.parent, year):
        assert len(readers.make("voc", root)) == 4
        assert readers.splits("voc", root) == ("train", "val")
    (year.parent / "VOC2007").mkdir()
    with pytest.raises(InputError, match=r"VOC2007 and .*VOC2012; name one"):
        readers.make("voc", tmp_path)
    assert len(readers.make("voc", year)) == 4


def test_files_hold_indices_of_a_palette(year):
    path = year / "SegmentationObject" / "2007_000030.png"
    image = Image.open(path)
    assert image.mode == "P"
    # As the devkit shows them: 1 dark red, 2 dark green, 255 cream.
    colours = np.asarray(image.convert("RGB"))
    assert {tuple(map(int, colour)) for colour in colours.reshape(-1, 3)} == {
        (0, 0, 0), (128, 0, 0), (0, 128, 0), (224, 224, 192),
    }  # fmt: skip
    (ids,) = readers.make("voc", year)[0]["labels"]
    np.testing.assert_array_equal(ids == 1, (colours == (128, 0, 0)).all(-1))
    np.testing.assert_array_equal(ids == 2, (colours == (0, 128, 0)).all(-1))


def test_the_background_is_ignored_or_a_region_and_the_border_never(year):
    expected = {"ignore": (-1, 1, -1, 2), "region": (0, 1, -1, 2)}
    for zero, ids in expected.items():
        reader = readers.make("voc", year, "val", zero=zero)
        np.testing.assert_array_equal(reader[1]["labels"][0], layouts.quarters(ids=ids))
        assert "border" in reader.unlabelled


def test_lists(year):
    assert readers.make("voc", year, "val").names == ("2007_000031", "2007_000033")
    assert len(readers.make("voc", year, "trainval")) == 4
    with pytest.raises(InputError, match=r"1 of 1 .*2008_000001\.png"):
        readers.make("voc", year, "test")
    lists = year / "ImageSets" / "Segmentation"
    (lists / "val.txt").write_text(" 2007_000033 \r\n\n2007_000030\r\n")
    assert readers.make("voc", year, "val").names == ("2007_000033", "2007_000030")
    for text, words in (
        ("", "names no picture"),
        ("2007_000033\n2007_000033\n", "val\\.txt: names '2007_000033' twice; remove one"),
        ("2007_000033\n2007_9\n2007_8\n", r"2 of 3 .*2007_9\.png"),
    ):
        (lists / "val.txt").write_text(text)
        with pytest.raises(InputError, match=words):
            readers.make("voc", year, "val")
    (lists / "val.txt").write_bytes(b"\x7fELF\x00\x01")
    with pytest.raises(InputError, match="not text"):
        readers.make("voc", year, "val")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_a_mark_at_the_beginning_of_a_list_is_no_part_of_a_name(year, encoding):
    path = year / "ImageSets" / "Segmentation" / "val.txt"
    path.write_text("2007_000033\r\n2007_000030", encoding=encoding)
    assert readers.make("voc", year, "val").names == ("2007_000033", "2007_000030")


def test_names_with_spaces(year):
    for place, suffix in (("JPEGImages", "jpg"), ("SegmentationObject", "png")):
        path = year / place / f"2007_000033.{suffix}"
        path.rename(path.with_stem("street at night"))
    path = year / "ImageSets" / "Segmentation" / "val.txt"
    path.write_text("street at night\n2007_000030 2007_000031\n")
    expected = ("street at night", "2007_000030", "2007_000031")
    assert readers.make("voc", year, "val").names == expected


def test_a_list_of_files(year):
    path = year / "ImageSets" / "Segmentation" / "val.txt"
    path.write_text("2007_000030\n2007_000033.jpg\n")
    with pytest.raises(
        InputError, match=r"'2007_000033\.jpg'; list IDs without ending: 2007_000033"
    ):
        readers.make("voc", year, "val")


@pytest.mark.parametrize("name", ["train", "val", "mine"])
def test_a_list_that_matches_nothing_is_not_dropped(year, name):
    path = year / "ImageSets" / "Segmentation" / f"{name}.txt"
    path.write_text("2007_000030.jpg\n2007_000033.jpg\n")
    with pytest.raises(
        InputError, match=rf"{name}\.txt: none of its 2 names, such as '2007_000030"
    ):
        readers.splits("voc", year)


def test_names_that_are_no_text_or_look_alike(year):
    listed = unicodedata.normalize("NFC", "Zürich")
    for place, suffix in (("JPEGImages", "jpg"), ("SegmentationObject", "png")):
        folder = os.fsencode(year / place)
        for old, new in (
            ("2007_000030", b"caf\xe9"),
            ("2007_000033", unicodedata.normalize("NFD", listed).encode()),
        ):
            ending = f".{suffix}".encode()
            os.rename(folder + b"/" + old.encode() + ending, folder + b"/" + new + ending)
    path = year / "ImageSets" / "Segmentation" / "val.txt"
    path.write_bytes(b"caf\xe9\n" + listed.encode())
    reader = readers.make("voc", year, "val")
    assert reader.names == (r"caf\xe9", listed)
    assert [reader[k]["name"] for k in (0, 1)] == [r"caf\xe9", listed]


def test_maps_and_pictures_of_other_forms(year):
    expected = readers.make("voc", year, "val")[0]["labels"][0]
    path = year / "SegmentationObject" / "2007_000031.png"
    Image.fromarray(np.asarray(Image.open(path))).save(path.with_suffix(".tif"))
    path.unlink()
    path = year / "JPEGImages" / "2007_000031.jpg"
    path.rename(path.with_suffix(".png"))
    np.testing.assert_array_equal(readers.make("voc", year, "val")[0]["labels"][0], expected)


def test_only_trainval(year):
    for split in ("train", "val"):
        (year / "ImageSets" / "Segmentation" / f"{split}.txt").unlink()
    assert readers.splits("voc", year) == ("trainval",)


def test_faults_of_a_image_are_named_when_it_is_read(year):
    reader = readers.make("voc", year, "train")
    (year / "JPEGImages" / "2007_000030.jpg").unlink()
    with pytest.raises(InputError, match=r"2007_000030\.jpg: no such file"):
        reader[0]
    path = year / "SegmentationObject" / "2007_000032.png"
    layouts.save_palette(path, np.zeros((5, 6)))
    with pytest.raises(InputError, match=r"2007_000032\.png: is 6x5"):
        reader[1]
    layouts.save(path, layouts.make_image(3))
    with pytest.raises(InputError, match="RGB"):
        reader[1]
