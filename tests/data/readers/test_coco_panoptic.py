"""COCO panoptic in its form on disk: colour PNGs and a list of segments."""

import pickle
import re

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.data.readers.coco_panoptic import CocoPanopticReader, read_segment_ids
from bitdiff_jax.errors import InputError
from tests.data.readers import coco_files

H, W = 21, 34
# Ids as in COCO, most of them beyond 16 bits; the third is a crowd.
SEGMENTS = (3937500, 70_000, 3153362, 1, 255, 256, 65_535, 65_536, 16_777_215)
CROWD = SEGMENTS[2]


def write_map(path, ids):
    """Through Pillow's own packing: 32-bit words of R, G, B, filler."""
    path.parent.mkdir(parents=True, exist_ok=True)
    words = np.ascontiguousarray(ids.astype("<u4"))
    size = ids.shape[::-1]
    Image.frombytes("RGB", size, words.tobytes(), "raw", "RGBX").save(path)


def draw(seed):
    """Blocks of segments and of void."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice([0, *SEGMENTS], (7, 17))
    chosen[0, :3] = 0, CROWD, SEGMENTS[-1]
    return np.kron(chosen, np.ones((3, 2), int)).astype(np.int32)


def make(root, split="val", numbers=(142238, 439180), maps=".", images=".", year="2017"):
    pictures, annotations, truth = [], [], {}
    for number in numbers:
        name, ids = f"{number:012d}", draw(number)
        truth[f"{name}.jpg"] = ids
        coco_files.image(root / images / f"{split}{year}" / f"{name}.jpg", H, W, number)
        write_map(root / maps / f"panoptic_{split}{year}" / f"{name}.png", ids)
        pictures.append({"id": number, "file_name": f"{name}.jpg", "height": H, "width": W})
        segments = [
            {"id": k, "category_id": 1, "iscrowd": int(k == CROWD), "area": int((ids == k).sum())}
            for k in SEGMENTS
        ]
        annotations.append(
            {"image_id": number, "file_name": f"{name}.png", "segments_info": segments}
        )
    path = root / "annotations" / f"panoptic_{split}{year}.json"
    coco_files.write(path, pictures, annotations)
    return truth


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("panoptic")
    return root, make(root) | make(root, "train", (30, 9))


def test_every_image_with_its_segments(data):
    root, truth = data
    assert CocoPanopticReader.splits(root) == ("train", "val")
    reader = CocoPanopticReader(root)
    assert reader.names == tuple(sorted(truth))
    for k, name in enumerate(reader.names):
        item = reader[k]
        expected = np.where((truth[name] == 0) | (truth[name] == CROWD), -1, truth[name])
        (labels,) = item["labels"]
        np.testing.assert_array_equal(labels, expected)
        assert labels.dtype == np.int32 and labels.max() == 16_777_215
        pixels = np.random.default_rng(int(name[:-4])).integers(0, 256, (H, W, 3), np.uint8)
        np.testing.assert_array_equal(item["image"], pixels)


def test_void_and_crowds_as_regions(data):
    root, truth = data
    name = "000000142238.jpg"
    for options, ignored in (
        ({"zero": "region"}, [CROWD]),
        ({"crowd": "region"}, [0]),
        ({"zero": "region", "crowd": "region"}, []),
    ):
        reader = CocoPanopticReader(root, "val", **options)
        expected = np.where(np.isin(truth[name], ignored), -1, truth[name])
        np.testing.assert_array_equal(reader[0]["labels"][0], expected)
    assert "void (id 0) is ignored" in CocoPanopticReader(root).unlabelled
    assert "region 0" in CocoPanopticReader(root, zero="region").unlabelled


def test_ids_are_red_plus_256_green_plus_65536_blue(tmp_path):
    colours = np.array([[[1, 0, 0], [0, 1, 0], [0, 0, 1], [255, 255, 255]]], np.uint8)
    Image.fromarray(colours).save(tmp_path / "a.png")
    assert read_segment_ids(tmp_path / "a.png").tolist() == [[1, 256, 65_536, 16_777_215]]


def test_splits_places_and_years(data, tmp_path):
    root, _ = data
    assert CocoPanopticReader(root, "train").names == ("000000000009.jpg", "000000000030.jpg")
    make(tmp_path, maps="annotations", images="images", year="2018")
    reader = CocoPanopticReader(tmp_path, "val", year="2018")
    expected = CocoPanopticReader(root, "val")[1]["labels"][0]
    np.testing.assert_array_equal(reader[1]["labels"][0], expected)
    with pytest.raises(InputError, match=r"no split 'test'.*train, val"):
        CocoPanopticReader(root, "test")
    with pytest.raises(InputError, match=r"panoptic_train2017\.json: no such file; expected"):
        CocoPanopticReader(tmp_path)


def test_definition_repr_and_copies(data):
    root, _ = data
    readers = [
        CocoPanopticReader(root, "val"),
        CocoPanopticReader(root, "train"),
        CocoPanopticReader(root, "val", zero="region"),
        CocoPanopticReader(root, "val", crowd="region"),
    ]
    assert len({reader.definition for reader in readers}) == 4
    copy = pickle.loads(pickle.dumps(readers[0]))
    assert repr(copy) == repr(readers[0]) and str(root) not in copy.definition
    np.testing.assert_array_equal(copy[0]["labels"][0], readers[0][0]["labels"][0])


@pytest.mark.parametrize("option", [{"zero": "no"}, {"crowd": "drop"}])
def test_unknown_options(data, option):
    with pytest.raises(InputError, match="is not known: use"):
        CocoPanopticReader(data[0], **option)


def change(root, old, new):
    path = root / "annotations/panoptic_val2017.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_missing_files_are_named(tmp_path):
    make(tmp_path)
    reader = CocoPanopticReader(tmp_path)
    (tmp_path / "panoptic_val2017/000000142238.png").unlink()
    with pytest.raises(InputError, match=r"000000142238\.png: no such file"):
        reader[0]
    (tmp_path / "val2017/000000439180.jpg").unlink()
    with pytest.raises(InputError, match=r"000000439180\.jpg: no such file"):
        reader[1]
    (tmp_path / "panoptic_val2017").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"unpack annotations/panoptic_val2017\.zip"):
        CocoPanopticReader(tmp_path)
    (tmp_path / "val2017").rename(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"val2017: no such folder; unpack val2017\.zip"):
        CocoPanopticReader(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"id": 65535', '"id": 65534', "has segment 65535, which .* does not list"),
        ('{"id": 65535', '{"key": 65535', "segments_info needs"),
        ('{"id": 65535', '{"id": 65535.5', r"segments_info.*id is 65535\.5; write a whole number"),
        ('"iscrowd": 0', '"iscrowd": 2', "iscrowd is 2; write 0 or 1"),
        ('"file_name": "000000142238.png"', '"file_name": "../0.png"', "the map's file_name is "),
        ('"file_name": "000000142238.png"', '"file_name": null', "the map's file_name is "),
        ('"image_id": 439180', '"image_id": 142238', "has 2 annotations instead of one"),
    ],
)
def test_records_that_do_not_fit(tmp_path, old, new, message):
    make(tmp_path)
    change(tmp_path, old, new)
    with pytest.raises(InputError, match=message):
        CocoPanopticReader(tmp_path)[0]


@pytest.mark.parametrize("written", [r'"\1"', r"\1.0"])
def test_a_crowd_is_a_crowd_in_any_way_of_writing(tmp_path, written):
    make(tmp_path)
    plain = CocoPanopticReader(tmp_path)[0]["labels"][0]
    path = tmp_path / "annotations/panoptic_val2017.json"
    text = path.read_text()
    path.write_text(re.sub(r'"iscrowd": ([01])', rf'"iscrowd": {written}', text))
    np.testing.assert_array_equal(CocoPanopticReader(tmp_path)[0]["labels"][0], plain)
    assert (plain == -1).any() and (plain >= 0).any()


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "I;16", "JPEG"])
def test_maps_that_may_have_been_altered(tmp_path, mode):
    make(tmp_path)
    path = tmp_path / "panoptic_val2017/000000142238.png"
    colours = Image.open(path).convert("RGB")
    if mode == "JPEG":
        colours.save(path, format="JPEG")
    elif mode == "I;16":
        Image.fromarray(np.zeros((H, W), np.uint16)).save(path)
    else:
        colours.convert(mode).save(path)
    with pytest.raises(InputError, match="PNGs of 8-bit RGB alone"):
        CocoPanopticReader(tmp_path)[0]


def test_damaged_and_misfitting_maps(tmp_path):
    make(tmp_path)
    path = tmp_path / "panoptic_val2017/000000142238.png"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    reader = CocoPanopticReader(tmp_path)
    with pytest.raises(InputError, match=r"000000142238\.png: the file is damaged"):
        reader[0]
    write_map(path, draw(1)[:-1])
    with pytest.raises(InputError, match=r"is 34x20, its picture is 34x21"):
        reader[0]


def test_files_of_another_kind(tmp_path):
    make(tmp_path)
    change(tmp_path, "segments_info", "segmentation")
    with pytest.raises(InputError, match="this looks like a COCO instances file"):
        CocoPanopticReader(tmp_path)
    make(tmp_path)
    change(tmp_path, '"image_id": 142238', '"image_id": 1')
    with pytest.raises(InputError, match="image_id 1, but the list 'images' has ids such as "):
        CocoPanopticReader(tmp_path)
