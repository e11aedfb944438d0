"""EntitySeg in its form on disk: two annotation files, pictures in several folders."""

import json
import pickle

import numpy as np
import pytest

from bitdiff_jax.data.readers.entityseg import EntitySegReader, paper_split
from bitdiff_jax.errors import InputError
from tests.data.readers import coco_files

H, W = 23, 31


def stack(rng, count):
    """Rectangles that overlap, one of them with a hole, one empty; pixels are left over."""
    masks = np.zeros((count, H, W), bool)
    for mask in masks:
        top, left = rng.integers(0, H - 6), rng.integers(0, W - 6)
        mask[top : top + rng.integers(2, 7), left : left + rng.integers(2, 7)] = True
    masks[0, 2:20, 2:28] = True
    masks[0, 8:12, 8:12] = False
    masks[1] = False
    masks[:, 0] = False
    return masks


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Root, and the masks and pixels of each picture by name."""
    root = tmp_path_factory.mktemp("entityseg")
    rng = np.random.default_rng(0)
    truth = {}
    for file, folder, ids in (
        ("train", "entity_01_11580", range(20)),
        ("train", "entity_02_11598", range(20, 38)),
        ("val", "entity_03_10049", range(2)),  # numbered anew in this file
    ):
        lists = truth.setdefault(file, ([], []))
        for number in ids:
            name = f"{folder}/{number:05d}.jpg"
            pixels = coco_files.image(root / name, H, W, number)
            masks = stack(rng, 300 if number == 1 else 6)
            truth[name] = pixels, masks
            lists[0].append({"id": number, "file_name": name, "height": H, "width": W})
            first = len(lists[1])
            lists[1].extend(
                {
                    "id": first + k,
                    "image_id": number,
                    "area": int(mask.sum()),
                    "bbox": [0, 0, W, H],
                    "category_id": 0,
                    "iscrowd": 0,
                    "segmentation": coco_files.packed(mask),
                }
                for k, mask in enumerate(masks)
            )
    for file in ("train", "val"):
        images, annotations = truth.pop(file)
        # Annotations of one picture need not lie together; their order is that of the file.
        annotations.sort(key=lambda each: each["id"] % 3)
        for image in images:
            of_it = [a for a in annotations if a["image_id"] == image["id"]]
            first = min(a["id"] for a in of_it)
            pixels, masks = truth[image["file_name"]]
            truth[image["file_name"]] = pixels, masks[[a["id"] - first for a in of_it]]
        coco_files.write(root / f"entityseg_{file}_lr.json", images, annotations)
    return root, truth


def released(masks):
    """The released preprocessing in its own words: uint8 zeros, min(k, 255), later over earlier."""
    result = np.zeros((H, W), np.uint8)
    for k, mask in enumerate(masks, start=1):
        result[mask > 0] = min(k, 255)
    return result


def test_every_image_with_its_regions(data):
    root, truth = data
    reader = EntitySegReader(root)
    assert list(reader.names) == sorted(truth) and len(reader) == 40
    for k, name in enumerate(reader.names):
        item = reader[k]
        pixels, masks = truth[name]
        assert item["name"] == name
        np.testing.assert_array_equal(item["image"], pixels)
        (labels,) = item["labels"]
        assert labels.dtype == np.int32
        expected = coco_files.paint(list(enumerate(masks, start=1)))
        np.testing.assert_array_equal(labels, expected)
        assert (labels[0] == -1).all()


def test_as_released(data):
    root, truth = data
    reader = EntitySegReader(root, as_released=1)
    for k, name in enumerate(reader.names):
        np.testing.assert_array_equal(reader[k]["labels"][0], released(truth[name][1]))
    most = [reader[k]["labels"][0].max() for k in range(len(reader))]
    assert max(most) == 255 and "released" in reader.unlabelled
    # Without it the ids beyond 255 are there.
    assert max(EntitySegReader(root)[k]["labels"][0].max() for k in range(3)) == 300


def test_order_and_zero(data):
    root, truth = data
    name = "entity_01_11580/00003.jpg"
    pairs = list(enumerate(truth[name][1], start=1))
    for order, expected in (
        ("earlier", pairs[::-1]),
        ("smaller", sorted(pairs, key=lambda pair: -pair[1].sum())),
    ):
        reader = EntitySegReader(root, "native_train", order=order, zero="region")
        found = reader[reader.names.index(name)]["labels"][0]
        np.testing.assert_array_equal(found, coco_files.paint(expected, uncovered=0))
    assert "ignored" in EntitySegReader(root).unlabelled
    assert "region 0" in EntitySegReader(root, zero="region").unlabelled


def test_splits(data):
    root, truth = data
    assert EntitySegReader.splits(root) == ("train", "val", "test")
    parts = [EntitySegReader(root, split).names for split in EntitySegReader.splits(root)]
    assert sorted(sum(parts, ())) == sorted(truth) and [len(p) for p in parts] == [32, 4, 4]
    native = EntitySegReader(root, "native_val").names
    assert native == ("entity_03_10049/00000.jpg", "entity_03_10049/00001.jpg")
    assert set(native) < set(parts[2])
    assert len(EntitySegReader(root, "native_train")) == 38


def test_the_papers_split_name_for_name(golden, tmp_path):
    vectors = {key: tuple(map(str, value)) for key, value in golden("split").items()}
    # In the order of the files, which must not matter.
    found = paper_split(vectors["train_json"][::-1], vectors["val_json"])
    for split in ("train", "val", "test"):
        assert found[split] == vectors[split]
    for file in ("train", "val"):
        images = [
            {"id": k, "file_name": name, "height": 2, "width": 2}
            for k, name in enumerate(vectors[f"{file}_json"])
        ]
        coco_files.write(tmp_path / f"entityseg_{file}_lr.json", images, [])
    (tmp_path / "entity_01").mkdir()
    (tmp_path / "entity_02").mkdir()
    for split in ("train", "val", "test"):
        assert EntitySegReader(tmp_path, split).names == vectors[split]


def test_the_papers_split_has_the_papers_sizes():
    train = [f"entity_01_11580/{k}.jpg" for k in range(31_913)]
    val = [f"entity_02_11598/{k}.jpg" for k in range(1_314)]
    found = paper_split(train, val)
    assert [len(found[s]) for s in ("train", "val", "test")] == [26_581, 3_323, 3_323]
    # More native validation pictures than a tenth: all of them, and none from elsewhere.
    assert paper_split(train[:10], val[:90])["test"] == tuple(sorted(val[:90]))


def test_other_places(data, tmp_path):
    root, truth = data
    (tmp_path / "annotations").mkdir()
    for path in root.glob("*.json"):
        (tmp_path / "annotations" / path.name).symlink_to(path)
    (tmp_path / "images_lr").symlink_to(root, target_is_directory=True)
    reader = EntitySegReader(tmp_path, "test")
    np.testing.assert_array_equal(reader[0]["image"], truth[reader.names[0]][0])
    assert reader.definition == EntitySegReader(root, "test").definition


def test_a_copy_is_small_and_reads_the_same(data):
    reader = EntitySegReader(data[0], "native_train")
    copy = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(copy[5]["labels"][0], reader[5]["labels"][0])
    assert repr(copy) == repr(reader)
    # Two numbers an annotation and a name a picture: the masks stay where they are.
    assert len(pickle.dumps(reader)) < 16 * (37 * 6 + 300) + 60 * 38 + 1500


def test_the_definition_tells_what_was_asked_for(data):
    root = data[0]
    readers = [
        EntitySegReader(root),
        EntitySegReader(root, "val"),
        EntitySegReader(root, "test"),
        EntitySegReader(root, order="smaller"),
        EntitySegReader(root, zero="region"),
        EntitySegReader(root, as_released=1),
    ]
    assert len({reader.definition for reader in readers}) == len(readers)
    assert str(root) not in readers[0].definition


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "training"}, "no split 'training'"),
        ({"order": "best"}, "order=best"),
        ({"zero": "none"}, "zero=none"),
        ({"as_released": 2}, "as_released=2"),
        ({"as_released": 1, "zero": "ignore"}, "zero=region"),
        ({"as_released": 1, "order": "smaller"}, "order=later"),
    ],
)
def test_options_that_are_refused(data, arguments, message):
    with pytest.raises(InputError, match=message):
        EntitySegReader(data[0], **arguments)


def small(root, annotations, name="entity_01_11580/0.jpg", **fields):
    """One picture in each file; `annotations` are those of training."""
    for file, own in (("train", annotations), ("val", [])):
        path = name if file == "train" else "entity_02_11598/1.jpg"
        record = {"id": 7, "file_name": path, "height": 4, "width": 5} | fields
        coco_files.write(root / f"entityseg_{file}_lr.json", [record], own)
        coco_files.image(root / path.lstrip("/"), 4, 5)


MASK = {"id": 3, "image_id": 7, "segmentation": coco_files.packed(np.eye(4, 5, dtype=bool))}


def test_missing_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"entityseg_train_lr\.json; expected"):
        EntitySegReader.splits(tmp_path)
    with pytest.raises(InputError, match=r"entityseg_train_lr\.json: no such file; expected"):
        EntitySegReader(tmp_path)
    small(tmp_path, [MASK])
    (tmp_path / "entityseg_val_lr.json").unlink()
    assert EntitySegReader.splits(tmp_path) == ("native_train",)
    reader = EntitySegReader(tmp_path, "native_train")
    with pytest.raises(InputError, match="val_lr"):
        EntitySegReader(tmp_path, "train")
    (tmp_path / "entity_01_11580" / "0.jpg").unlink()
    with pytest.raises(InputError, match=r"0\.jpg: no such file"):
        reader[0]
    (tmp_path / "entity_01_11580").rmdir()
    with pytest.raises(InputError, match="entity_01_11580: no such folder; unpack"):
        EntitySegReader(tmp_path, "native_train")


def test_a_image_of_another_size(tmp_path):
    small(tmp_path, [MASK])
    coco_files.image(tmp_path / "entity_01_11580/0.jpg", 8, 10)
    with pytest.raises(InputError, match=r"0\.jpg: is 10x8, .*json says 5x4; .*low resolution"):
        EntitySegReader(tmp_path, "native_train")[0]


def test_a_broken_mask_names_image_and_annotation(tmp_path):
    broken = MASK | {"segmentation": {"size": [4, 5], "counts": "0"}}
    small(tmp_path, [MASK | {"id": 2}, broken])
    reader = EntitySegReader(tmp_path, "native_train")
    with pytest.raises(InputError, match=r"train_lr\.json: entity_01_11580/0\.jpg: annotation 3: "):
        reader[0]


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (MASK | {"image_id": 8}, "image_id 8, but the list 'images' has ids such as 7"),
        (MASK | {"image_id": [8]}, "image_id"),
        ({"image_id": 7, "segments_info": []}, "looks like a COCO panoptic file"),
        ({"image_id": 7, "caption": "a dog"}, "looks like a COCO captions file"),
        ({"segmentation": []}, "needs image_id"),
        (5, "needs image_id"),
    ],
)
def test_annotations_that_are_refused(tmp_path, annotation, message):
    small(tmp_path, [annotation])
    with pytest.raises(InputError, match=message) as caught:
        EntitySegReader(tmp_path, "native_train")
    assert "entityseg_train_lr.json" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["../0.jpg", "a/../../0.jpg", "/etc/0.jpg", "", "..\\0.jpg", "C:\\0.jpg"]
)
def test_names_that_lead_elsewhere(tmp_path, name):
    small(tmp_path, [MASK])
    path = tmp_path / "entityseg_train_lr.json"
    path.write_text(path.read_text().replace("entity_01_11580/0.jpg", name.replace("\\", "\\\\")))
    with pytest.raises(InputError, match="does not lead out of"):
        EntitySegReader(tmp_path, "native_train")


@pytest.mark.parametrize(
    "fields",
    [{"height": 0}, {"height": -1}, {"height": "a"}, {"width": None}, {"width": 4.5}, {"id": {}}],
)
def test_images_without_a_size_or_id(tmp_path, fields):
    small(tmp_path, [], **fields)
    ((field, value),) = fields.items()
    with pytest.raises(InputError) as error:
        EntitySegReader(tmp_path, "native_train")
    assert f"images[0].{field} is {value!r}; write a whole number" in str(error.value)


def test_what_a_record_lacks_is_named(tmp_path):
    small(tmp_path, [])
    path = tmp_path / "entityseg_train_lr.json"
    path.write_text(path.read_text().replace('"height"', '"hight"'))
    with pytest.raises(InputError, match=r"images\[0\] has no height; it needs id, file_name"):
        EntitySegReader(tmp_path, "native_train")


@pytest.mark.parametrize("image_id", [7, 7.0, "7", "007"])
@pytest.mark.parametrize("own_id", [7, 7.0, "7", "0007"])
def test_numbers_in_any_form_are_the_same(tmp_path, image_id, own_id):
    small(tmp_path, [MASK | {"image_id": image_id}], id=own_id)
    plain = EntitySegReader(tmp_path, "native_train")[0]["labels"][0]
    small(tmp_path, [MASK])
    np.testing.assert_array_equal(EntitySegReader(tmp_path, "native_train")[0]["labels"][0], plain)
    assert (plain == 1).any()


WHOLE = json.dumps({"images": [], "annotations": [MASK]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        '{"a": ' * 100_000,
        '{"images": [], "annotations": {}}',
        '{"images": []}',
        '{"annotations": []}',
        '{"images": [] "annotations": []}',
        '{"images": [{"id": }], "annotations": []}',
        "\x00\x01\x02",
        *(WHOLE[:cut] for cut in range(1, len(WHOLE) - 1, 7)),
    ],
)
def test_what_is_no_coco_file_is_an_error_of_one_line(tmp_path, text):
    small(tmp_path, [MASK])
    (tmp_path / "entityseg_train_lr.json").write_text(text)
    with pytest.raises(InputError, match=r"entityseg_train_lr\.json") as caught:
        EntitySegReader(tmp_path, "native_train")
    assert "\n" not in str(caught.value)


def test_a_image_in_two_files(tmp_path):
    small(tmp_path, [MASK], name="entity_02_11598/1.jpg")
    with pytest.raises(InputError, match=r"entity_02_11598/1\.jpg is in .*train_lr\.json too"):
        EntitySegReader(tmp_path)


def test_a_image_twice_in_one_file(tmp_path):
    small(tmp_path, [])
    path = tmp_path / "entityseg_train_lr.json"
    whole = json.loads(path.read_text())
    whole["images"].append(whole["images"][0] | {"id": 8})
    path.write_text(json.dumps(whole))
    with pytest.raises(
        InputError, match=r"two pictures have one file_name, 'entity_01_11580/0\.jpg'"
    ):
        EntitySegReader(tmp_path, "native_train")


def test_a_file_that_changes_under_the_reader(tmp_path):
    small(tmp_path, [MASK])
    reader = EntitySegReader(tmp_path, "native_train")
    path = tmp_path / "entityseg_train_lr.json"
    text = path.read_text()
    path.write_text(text + " ")
    with pytest.raises(InputError, match="has changed"):
        reader[0]
    path.write_text(" " + text[:-1])
    with pytest.raises(InputError, match="has changed"):
        reader[0]
    path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        reader[0]


def test_index_bounds(data):
    reader = EntitySegReader(data[0], "val")
    for index in (-1, len(reader)):
        with pytest.raises(IndexError):
            reader[index]
