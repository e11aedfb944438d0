"""COCO instances in their form on disk: polygons, both kinds of RLE, crowds."""

import json
import os
import pickle
import unicodedata

import numpy as np
import pytest
from PIL import Image, ImageDraw

from bitdiff_jax.data.readers import coco_json
from bitdiff_jax.data.readers.coco_instances import CocoInstancesReader
from bitdiff_jax.errors import InputError
from tests.data.readers import coco_files

H, W = 40, 50


def box(top, left, bottom, right):
    mask = np.zeros((H, W), bool)
    mask[top:bottom, left:right] = True
    return mask


def outline(top, left, bottom, right):
    """The polygon of a box: COCO's corners of pixels are whole numbers."""
    return [left, top, right, top, right, bottom, left, bottom]


HOLE = box(5, 5, 25, 25) & ~box(10, 10, 18, 18)
CROWD = box(20, 20, 40, 50)
# Of picture 9: in the file's order, each with its mask.
NINE = [
    ([outline(2, 2, 6, 6)], box(2, 2, 6, 6), 0),  # small, first in the file, on the one with a hole
    (coco_files.packed(HOLE), HOLE, 0),
    (coco_files.listed(CROWD), CROWD, 1),
    (
        [outline(30, 5, 35, 15), outline(30, 20, 35, 30)],
        box(30, 5, 35, 15) | box(30, 20, 35, 30),
        0,
    ),
    (coco_files.packed(box(0, 0, 0, 0)), box(0, 0, 0, 0), 0),
    ([], box(0, 0, 0, 0), 0),
    (coco_files.listed(box(22, 40, 26, 44)), box(22, 40, 26, 44), 0),  # in the crowd
    (coco_files.packed(box(4, 4, 30, 30)), box(4, 4, 30, 30), 0),  # largest, last
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("coco")
    for split, ids in (("train", (9, 3)), ("val", (5,))):
        pictures, annotations = [], []
        for number in ids:
            name = f"{number:012d}.jpg"
            coco_files.image(root / f"{split}2017" / name, H, W, number)
            pictures.append(
                {
                    "license": 2,
                    "file_name": name,
                    "coco_url": f"http://images.cocodataset.org/{split}2017/{name}",
                    "height": H,
                    "width": W,
                    "date_captured": "2013-11-20 16:47:35",
                    "id": number,
                }
            )
        if split == "train":
            for k, (segmentation, mask, crowd) in enumerate(NINE):
                annotations.append(
                    {
                        "segmentation": segmentation,
                        "area": float(mask.sum()),
                        "iscrowd": crowd,
                        "image_id": 9,
                        "bbox": [0.0, 0.0, 1.5, 1.5],
                        "category_id": 1,
                        "id": 900 + k,
                    }
                )
        coco_files.write(root / f"annotations/instances_{split}2017.json", pictures, annotations)
    return root


def nine(root, **options):
    reader = CocoInstancesReader(root, "train", **options)
    assert reader.names == ("000000000003.jpg", "000000000009.jpg")
    item = reader[1]
    assert item["name"] == "000000000009.jpg" and len(item["labels"]) == 1
    return item["labels"][0]


def by(order, crowds=(), uncovered=-1):
    pairs = [(k, mask) for k, (_, mask, crowd) in enumerate(NINE, start=1) if not crowd]
    if order == "smaller":
        pairs.sort(key=lambda pair: pair[1].sum(), reverse=True)
    if order == "earlier":
        pairs.reverse()
    return coco_files.paint([*crowds, *pairs], uncovered)


@pytest.mark.parametrize("order", ["smaller", "later", "earlier"])
def test_overlaps_go_by_the_order(root, order):
    np.testing.assert_array_equal(nine(root, order=order), by(order, [(-1, CROWD)]))


def test_smaller_lies_above_larger_by_default(root):
    labels = nine(root)
    np.testing.assert_array_equal(labels, by("smaller", [(-1, CROWD)]))
    assert labels[4, 4] == 1 and labels[6, 6] == 2 and labels[12, 12] == 8
    assert set(np.unique(labels)) == {-1, 1, 2, 4, 7, 8}


def test_crowds_are_ignored_below_what_is_annotated(root):
    labels = nine(root)
    assert labels[23, 41] == 7 and labels[39, 49] == -1
    # A crowd stays ignored where everything else is a region.
    everything = nine(root, zero="region")
    np.testing.assert_array_equal(everything, by("smaller", [(-1, CROWD)], uncovered=0))
    assert everything[0, 49] == 0 and everything[39, 49] == -1
    as_region = nine(root, zero="region", crowd="region")
    np.testing.assert_array_equal(as_region, by("smaller", [(3, CROWD)], uncovered=0))


def test_polygons_against_pillow(tmp_path):
    """Another rasteriser: the two may differ on the outline alone."""
    rng = np.random.default_rng(1)
    angles = np.sort(rng.random(9)) * 2 * np.pi
    xy = np.stack([W / 2 + 18 * np.cos(angles), H / 2 + 15 * np.sin(angles)], axis=1)
    draw = Image.new("L", (W, H))
    ImageDraw.Draw(draw).polygon([tuple(p) for p in xy], fill=1, outline=1)
    one(tmp_path, {"segmentation": [xy.ravel().round(2).tolist()]})
    found = CocoInstancesReader(tmp_path, "train")[0]["labels"][0] == 1
    expected = np.asarray(draw).astype(bool)
    assert found.sum() > 300
    differ = found != expected
    inner = expected[1:-1, 1:-1] & expected[:-2, 1:-1] & expected[2:, 1:-1]
    inner &= expected[1:-1, :-2] & expected[1:-1, 2:]
    assert not (differ[1:-1, 1:-1] & inner).any() and differ.sum() < 0.12 * expected.sum()


def test_a_image_without_annotations_is_ignored_throughout(root):
    item = CocoInstancesReader(root, "val")[0]
    assert item["image"].shape == (H, W, 3) and (item["labels"][0] == -1).all()
    assert (CocoInstancesReader(root, "val", zero="region")[0]["labels"][0] == 0).all()


def test_splits(root, tmp_path):
    assert CocoInstancesReader.splits(root) == ("train", "val")
    everything = CocoInstancesReader(root)
    assert everything.names == tuple(f"{k:012d}.jpg" for k in (3, 5, 9))
    np.testing.assert_array_equal(everything[2]["labels"][0], nine(root))
    pixels = np.random.default_rng(5).integers(0, 256, (H, W, 3), np.uint8)
    np.testing.assert_array_equal(everything[1]["image"], pixels)
    with pytest.raises(InputError, match=r"no split 'test'.*train, val"):
        CocoInstancesReader(root, "test")
    with pytest.raises(InputError, match=r"instances_train2017\.json: no such file; expected"):
        CocoInstancesReader.splits(tmp_path)


def one(root, annotation, year="2017", images="."):
    record = {"id": 4, "file_name": "0.jpg", "height": H, "width": W}
    whole = {"id": 1, "image_id": 4, "iscrowd": 0} | annotation
    coco_files.write(root / f"annotations/instances_train{year}.json", [record], [whole])
    coco_files.image(root / images / f"train{year}" / "0.jpg", H, W)


def test_other_years_and_places(tmp_path):
    one(tmp_path, {"segmentation": coco_files.packed(HOLE)}, "2014", "images")
    assert CocoInstancesReader.splits(tmp_path, year=2014) == ("train",)
    reader = CocoInstancesReader(tmp_path, "train", year=2014)
    np.testing.assert_array_equal(reader[0]["labels"][0] == 1, HOLE)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ({"size": [W, H], "counts": coco_files.packed(HOLE.T)["counts"]}, "of size"),
        ({"size": [H, W], "counts": coco_files.packed(HOLE)["counts"][:-4]}, "damaged"),
        ({"size": [H, W], "counts": [3, 4]}, "cover 7 pixels of 2000"),
        ([[1, 2, 3]], "by turns"),
    ],
)
def test_broken_masks_name_the_image(tmp_path, segmentation, message):
    one(tmp_path, {"segmentation": segmentation})
    reader = CocoInstancesReader(tmp_path, "train")
    with pytest.raises(InputError, match=rf"0\.jpg: annotation 1: .*{message}"):
        reader[0]


@pytest.mark.parametrize(
    ("value", "is_crowd"), [(0, False), ("0", False), ("false", False), (1, True), ("1", True)]
)
def test_a_crowd_is_a_crowd_in_any_way_of_writing(tmp_path, value, is_crowd):
    one(tmp_path, {"segmentation": coco_files.packed(HOLE), "iscrowd": value})
    expected = np.where(HOLE & (not is_crowd), 1, -1)
    np.testing.assert_array_equal(CocoInstancesReader(tmp_path)[0]["labels"][0], expected)


def test_what_is_neither_crowd_nor_thing_is_named(tmp_path):
    one(tmp_path, {"segmentation": coco_files.packed(HOLE), "iscrowd": "yes"})
    with pytest.raises(InputError, match=r"0\.jpg: annotation 1: iscrowd is 'yes'; write 0 or 1"):
        CocoInstancesReader(tmp_path)[0]


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "utf-8-sig"])
def test_names_in_other_forms_than_on_the_disk(tmp_path, encoding):
    composed, decomposed = (unicodedata.normalize(form, "Zürich") for form in ("NFC", "NFD"))
    one(tmp_path, {"segmentation": coco_files.packed(HOLE)})
    path = tmp_path / "annotations/instances_train2017.json"
    whole = json.loads(path.read_text())
    whole["images"][0]["file_name"] = f"{composed}\\a b.jpg"
    text = json.dumps(whole, ensure_ascii=encoding == "ascii")
    path.write_text(text, encoding=encoding)
    (tmp_path / "train2017" / decomposed).mkdir()
    (tmp_path / "train2017/0.jpg").rename(tmp_path / "train2017" / decomposed / "a b.jpg")
    reader = CocoInstancesReader(tmp_path)
    assert reader.names == (f"{composed}/a b.jpg",)
    np.testing.assert_array_equal(reader[0]["labels"][0] == 1, HOLE)


def test_a_name_that_is_no_text_is_shown_as_bytes(tmp_path):
    one(tmp_path, {"segmentation": coco_files.packed(HOLE)})
    path = tmp_path / "annotations/instances_train2017.json"
    # As Python's json writes the names that os.listdir gives.
    path.write_text(path.read_text().replace("0.jpg", r"caf\udce9.jpg"))
    folder = os.fsencode(tmp_path / "train2017")
    os.rename(folder + b"/0.jpg", folder + b"/caf\xe9.jpg")
    reader = CocoInstancesReader(tmp_path)
    assert reader.names == (r"caf\xe9.jpg",) == (reader[0]["name"],)


def test_a_file_that_is_no_utf8_is_named(tmp_path):
    one(tmp_path, {"segmentation": coco_files.packed(HOLE)})
    path = tmp_path / "annotations/instances_train2017.json"
    path.write_bytes(path.read_bytes().replace(b"0.jpg", b"caf\xe9.jpg"))
    with pytest.raises(InputError, match=r"is not UTF-8; save the file as UTF-8"):
        CocoInstancesReader(tmp_path)


def test_a_phones_orientation_is_named_where_sizes_are_exchanged(tmp_path):
    one(tmp_path, {"segmentation": coco_files.packed(HOLE)})
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((H, W, 3), np.uint8)).save(tmp_path / "train2017/0.jpg", exif=exif)
    with pytest.raises(InputError, match=rf"is {H}x{W}, .* says {W}x{H}.*EXIF orientation"):
        CocoInstancesReader(tmp_path)[0]


def test_missing_images_are_named(tmp_path):
    one(tmp_path, {"segmentation": []})
    (tmp_path / "train2017/0.jpg").unlink()
    with pytest.raises(InputError, match=r"train2017/0\.jpg: no such file"):
        CocoInstancesReader(tmp_path)[0]
    (tmp_path / "train2017").rmdir()
    with pytest.raises(InputError, match=r"train2017: no such folder; unpack train2017\.zip"):
        CocoInstancesReader(tmp_path)


def test_a_file_of_another_kind(tmp_path):
    one(tmp_path, {"segments_info": [], "file_name": "0.png"})
    with pytest.raises(InputError, match=r"this looks like a COCO panoptic file"):
        CocoInstancesReader(tmp_path)


@pytest.mark.parametrize("option", [{"zero": "no"}, {"crowd": "drop"}, {"order": "larger"}])
def test_unknown_options(root, option):
    with pytest.raises(InputError, match="is not known: use"):
        CocoInstancesReader(root, **option)


def test_definition_repr_and_copies(root):
    reader = CocoInstancesReader(root, "train")
    options = [{"zero": "region"}, {"crowd": "region"}, {"order": "later"}]
    others = [CocoInstancesReader(root, "train", **option) for option in options]
    assert len({each.definition for each in (reader, *others)}) == 4
    copy = pickle.loads(pickle.dumps(reader))
    assert repr(copy) == repr(reader) and str(root) not in copy.definition
    np.testing.assert_array_equal(copy[1]["labels"][0], nine(root))
    assert "ignored" in reader.unlabelled and "region" in others[0].unlabelled


def test_places_in_files_that_are_not_ascii(tmp_path):
    """Names in UTF-8 and as escapes, a byte order mark, other spacing, lists in another order."""
    one(tmp_path, {"segmentation": coco_files.packed(HOLE), "note": "Zoë ☂"})
    path = tmp_path / "annotations/instances_train2017.json"
    whole = json.loads(path.read_text())
    whole["images"][0]["file_name"] = "ünï☂.jpg"
    whole = {"categories": ["é"]} | {key: whole[key] for key in ("annotations", "images")}
    (tmp_path / "train2017/0.jpg").rename(tmp_path / "train2017/ünï☂.jpg")
    for escapes in (True, False):
        text = json.dumps(whole, ensure_ascii=escapes, indent=3)
        path.write_bytes(text.encode("utf-8-sig"))
        reader = CocoInstancesReader(tmp_path)
        assert reader.names == ("ünï☂.jpg",)
        np.testing.assert_array_equal(reader[0]["labels"][0] == 1, HOLE)


def test_a_file_in_a_bucket_is_read_once(root, monkeypatch):
    path = root / "annotations/instances_train2017.json"
    index = coco_json.Index(path, "segmentation")
    expected = index.annotations(0)
    index.path = "gs://bucket/instances_train2017.json"
    calls = []
    monkeypatch.setattr(coco_json, "read_bytes", lambda p: calls.append(p) or path.read_bytes())
    assert index.annotations(0) == expected and index.annotations(1) == []
    assert index.annotations(0) == expected and calls == [index.path]
    assert len(pickle.dumps(index)) < 1500


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[{"image_id": 1, "score": 0.5}]', "is a list, as a detector's results are"),
        ('{"images": {"a": 1}, "annotations": []}', "'images' is no list"),
        ('{"images": [], "annotations": null}', "'annotations' is no list"),
        ('{"images": [', r"not a whole JSON object .*copy or download it again"),
    ],
)
def test_what_kind_of_file_it_is_instead(tmp_path, text, says):
    path = tmp_path / "instances.json"
    path.write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        coco_json.Index(path, "segmentation")
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
