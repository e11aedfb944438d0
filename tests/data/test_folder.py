import json
import os
import pickle
import unicodedata

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.data import folder, images
from bitdiff_jax.data.resident import Resident
from bitdiff_jax.errors import InputError


def halves(height=20, width=30, low=1, high=2):
    ids = np.full((height, width), low)
    ids[:, width // 2 :] = high
    return ids


def write(root, name, *maps, suffix="jpg", shape=(20, 30)):
    (root / "images").mkdir(parents=True, exist_ok=True)
    (root / "labels").mkdir(exist_ok=True)
    shade = sum(name.encode()) % 200
    Image.fromarray(np.full((*shape, 3), shade, np.uint8)).save(
        root / "images" / f"{name}.{suffix}"
    )
    for k, ids in enumerate(maps):
        stem = name if len(maps) == 1 else f"{name}_{k}"
        images.write_labels(root / "labels" / f"{stem}.png", ids)


@pytest.fixture
def root(tmp_path):
    write(tmp_path, "b", halves(), halves(low=7, high=300))
    write(tmp_path, "a", halves(), suffix="png")
    write(tmp_path, "c_1", halves(), suffix="JPEG")
    return tmp_path


def refused(*parts, **arguments):
    with pytest.raises(InputError) as error:
        folder.FolderSource(**arguments)
    assert "\n" not in str(error.value)
    for part in parts:
        assert part in str(error.value)


def test_items(root):
    source = folder.FolderSource(root)
    assert len(source) == 3 and source.names == ("a", "b", "c_1") and source.max_annotators == 2
    item = source[1]
    assert set(item) == {"name", "image", "labels"} and item["name"] == "b"
    assert item["image"].shape == (20, 30, 3) and item["image"].dtype == np.uint8
    assert [ids.dtype for ids in item["labels"]] == [np.int32, np.int32]
    np.testing.assert_array_equal(item["labels"][0], halves())
    np.testing.assert_array_equal(item["labels"][1], halves(low=7, high=300))
    assert source[2]["name"] == "c_1" and len(source[2]["labels"]) == 1


@pytest.mark.parametrize("index", [-1, 3])
def test_index_out_of_range(root, index):
    with pytest.raises(IndexError):
        folder.FolderSource(root)[index]


def test_an_id_that_ends_like_an_annotator(tmp_path):
    write(tmp_path, "a", halves(low=1))
    write(tmp_path, "a_1", halves(low=5))
    source = folder.FolderSource(tmp_path)
    assert [len(source[i]["labels"]) for i in range(2)] == [1, 1]
    assert source[0]["labels"][0][0, 0] == 1 and source[1]["labels"][0][0, 0] == 5


def test_annotators_are_in_numeric_order(tmp_path):
    write(tmp_path, "a", *(halves(low=10 + k, high=50) for k in range(11)))
    assert [ids[0, 0] for ids in folder.FolderSource(tmp_path)[0]["labels"]] == list(range(10, 21))


def test_split_gives_its_order(root):
    (root / "splits.json").write_text(json.dumps({"train": ["c_1", "a"], "odd": []}))
    assert folder.FolderSource(root, "train").names == ("c_1", "a")
    refused("'val'", "odd, train", root=root, split="val")
    refused("'odd'", root=root, split="odd")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("{", "JSON"),
        ("[1]", "must be an object"),
        ('{"train": ["a", "zz"]}', "zz"),
        ('{"train": ["a", "a"]}', "twice"),
        ('{"train": [1]}', "strings"),
        ('{"train": ["a.png"]}', "names the file 'a.png'; list IDs without ending: a"),
    ],
)
def test_bad_splits_are_named(root, content, word):
    (root / "splits.json").write_text(content)
    refused("splits.json", word, root=root, split="train")


def test_a_split_without_splits_file(root):
    refused("splits.json", "leave split= out", root=root, split="train")


def test_images_outside_the_split_need_no_labels(root):
    write(root, "d")
    refused("d.png", "1 of 4", root=root)
    (root / "splits.json").write_text('{"train": ["a"]}')
    assert len(folder.FolderSource(root, "train")) == 1


def test_bad_folders_are_named(tmp_path):
    refused("images", "no such folder", root=tmp_path / "none")
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    (tmp_path / "images" / "notes.txt").write_text("x")
    (tmp_path / "images" / ".hidden.png").write_text("x")
    refused("no pictures", root=tmp_path)
    write(tmp_path, "a", halves())
    images.write_labels(tmp_path / "labels" / "zz_0.png", halves())
    refused("zz_0.png", "no picture", root=tmp_path)
    (tmp_path / "labels" / "zz_0.png").unlink()
    write(tmp_path, "a", halves(), suffix="png")
    refused("second picture with ID a", root=tmp_path)


def test_sizes_that_differ_are_named(tmp_path):
    write(tmp_path, "a", halves(20, 31))
    source = folder.FolderSource(tmp_path)
    with pytest.raises(InputError) as error:
        source[0]
    assert "31x20" in str(error.value) and "30x20" in str(error.value)


@pytest.mark.parametrize("suffix", ["tif", "bmp", "pgm", "PNG"])
def test_labels_in_any_lossless_form(tmp_path, suffix):
    write(tmp_path, "a", halves(), halves(low=7))
    path = tmp_path / "labels" / "a_1.png"
    Image.fromarray(halves(low=7).astype(np.uint8)).save(path.with_suffix(f".{suffix}"))
    path.unlink()
    first, second = folder.FolderSource(tmp_path)[0]["labels"]
    np.testing.assert_array_equal(first, halves())
    np.testing.assert_array_equal(second, halves(low=7))


@pytest.mark.parametrize(
    ("place", "word"),
    [
        ("labels/a_1.jpg", "JPEG alters"),
        ("labels/a_1.gif", "PNG"),
        ("labels/a_1.npy", "PNG"),
        ("images/b.heic", "PNG or JPEG"),
    ],
)
def test_files_that_cannot_be_read_are_not_taken_for_absent(tmp_path, place, word):
    write(tmp_path, "a", halves())
    (tmp_path / place).write_bytes(b"x")
    refused(place, word, root=tmp_path)


def test_two_files_of_one_annotator(tmp_path):
    write(tmp_path, "a", halves())
    Image.fromarray(halves().astype(np.uint8)).save(tmp_path / "labels" / "a.tif")
    refused("a.tif", "a.png", "remove one", root=tmp_path)


def test_what_systems_leave_beside_files_is_passed_over(tmp_path):
    write(tmp_path, "a", halves())
    for place in ("images", "labels"):
        (tmp_path / place / "__MACOSX").mkdir()
        for name in ("._a.png", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/._a.png"):
            (tmp_path / place / name).write_bytes(b"x")
    assert folder.FolderSource(tmp_path).names == ("a",)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_splits_in_any_encoding_that_says_what_it_is(root, encoding):
    (root / "splits.json").write_text('{"train": ["b"]}', encoding=encoding)
    assert folder.FolderSource(root, "train").names == ("b",)


def test_names_that_look_alike_are_the_same(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "Zürich") for form in ("NFC", "NFD"))
    write(tmp_path, composed, halves())
    (tmp_path / "labels" / f"{composed}.png").rename(tmp_path / "labels" / f"{decomposed}_0.png")
    (tmp_path / "splits.json").write_text(json.dumps({"train": [decomposed]}))
    source = folder.FolderSource(tmp_path, "train")
    assert source.names == (composed,) and len(source[0]["labels"]) == 1


def test_names_that_are_no_text_are_shown_as_bytes(tmp_path):
    write(tmp_path, "a", halves())
    for place, name in (("images", b"a.jpg"), ("labels", b"a.png")):
        path = os.fsencode(tmp_path / place) + b"/"
        os.rename(path + name, path + b"caf\xe9" + name)
    (tmp_path / "splits.json").write_text(json.dumps({"train": [r"caf\xe9a"]}))
    for source in (folder.FolderSource(tmp_path), folder.FolderSource(tmp_path, "train")):
        assert source.names == (r"caf\xe9a",) and source[0]["name"] == r"caf\xe9a"
        source.definition.encode()


def test_a_stack_of_labels_is_refused(tmp_path):
    write(tmp_path, "a", halves())
    (tmp_path / "labels" / "a.png").unlink()
    frames = [Image.fromarray(halves(low=k).astype(np.uint8)) for k in (1, 3)]
    frames[0].save(tmp_path / "labels" / "a.tif", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="holds 2 frames"):
        folder.FolderSource(tmp_path, zero="region")[0]


def test_a_phones_orientation_is_named_where_sizes_are_exchanged(tmp_path):
    write(tmp_path, "a", halves())
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "images/a.jpg", exif=exif)
    with pytest.raises(InputError, match=r"is 30x20, its picture .* is 20x30; .*EXIF orientation"):
        folder.FolderSource(tmp_path)[0]


def test_a_bad_meaning_of_zero_is_named(root):
    refused("zero=nothing", "use ignore or region", root=root, zero="nothing")


def test_zero_is_ignored_or_a_region(tmp_path):
    ids = halves(low=0)
    write(tmp_path, "a", ids)
    expected = {"ignore": np.where(ids == 0, -1, ids), "region": ids, "background": ids}
    for zero, labels in expected.items():
        source = folder.FolderSource(tmp_path, zero=zero)
        np.testing.assert_array_equal(source[0]["labels"][0], labels)
        assert folder.check_zero(source) == 0.5
        assert source.has_background == (zero == "background")
    refused("50%", "zero=background", "zero=ignore", "zero=region", root=tmp_path)


def test_a_little_zero_is_ignored_without_being_told(tmp_path):
    ids = halves()
    ids[:4] = 0  # a fifth exactly
    write(tmp_path, "a", ids)
    labels = folder.FolderSource(tmp_path)[0]["labels"][0]
    assert (labels[:4] == -1).all() and (labels[4:] > 0).all()


@pytest.mark.parametrize(
    ("zero", "words"),
    [
        (None, "ignored, because 0 covers little"),
        ("ignore", "ignored, as"),
        ("region", "a region"),
        ("background", "the background"),
    ],
)
def test_what_zero_was_taken_for_is_said(root, zero, words):
    assert words in folder.FolderSource(root, zero=zero).unlabelled


def test_pickle(root):
    source = folder.FolderSource(root)
    copy = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(copy[0]["image"], source[0]["image"])
    assert copy.definition == source.definition and "pictures" in repr(copy)


def test_splits_are_listed(root):
    assert folder.FolderSource.splits(root) == ()
    (root / "splits.json").write_text(json.dumps({"val": ["b"], "train": ["c_1", "a"]}))
    assert folder.FolderSource.splits(str(root)) == ("val", "train")
    (root / "splits.json").write_text("[1]")
    with pytest.raises(InputError, match=r"splits\.json: must be an object"):
        folder.FolderSource.splits(root)


def test_definition_names_what_matters(root):
    base = folder.FolderSource(root).definition
    assert str(root) not in base
    assert folder.FolderSource(root, zero="ignore").definition == base
    assert folder.FolderSource(root, zero="region").definition != base
    write(root, "d", halves())
    assert folder.FolderSource(root).definition != base


def test_real_folders(real_data):
    source = folder.FolderSource(real_data / "bsds500", "val")
    assert len(source) == 100 and 4 <= source.max_annotators <= 9
    item = source[5]
    path = real_data / "bsds500" / "labels" / f"{item['name']}_0.png"
    np.testing.assert_array_equal(item["labels"][0], np.asarray(Image.open(path)))
    nuclei = Resident(folder.FolderSource(real_data / "dsb2018"), 128)
    counts = [len(np.unique(nuclei[i]["labels"][0])) for i in range(0, len(nuclei), 40)]
    assert max(counts) > 40
    for name in ("coco128", "em_isbi2012"):
        refused("id 0 covers", root=real_data / name)
        folder.FolderSource(real_data / name, zero="ignore")
