import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.data import readers
from bitdiff_jax.data.readers import ade20k
from bitdiff_jax.errors import InputError
from tests.data.readers import layouts


@pytest.fixture
def scene(tmp_path):
    layouts.ade20k(tmp_path)
    return tmp_path / "ADE20K_2021_17_01" / "images" / "ADE" / "training" / "urban" / "street"


@pytest.mark.parametrize("place", ["", "ADE20K_2021_17_01"])
def test_any_folder_on_the_way_is_a_root(scene, tmp_path, place):
    reader = readers.make("ade20k", tmp_path / place)
    assert len(reader) == 4 and reader.names[0] == "ADE_train_00016860"
    assert readers.splits("ade20k", tmp_path / place) == ("training", "validation")


def test_the_release_of_2016_is_read_too(scene, tmp_path):
    old = tmp_path / "old" / "ADE20K_2016_07_26" / "images"
    (tmp_path / "ADE20K_2021_17_01" / "images" / "ADE").rename(tmp_path / "tmp")
    old.parent.mkdir(parents=True)
    (tmp_path / "tmp").rename(old)
    for root in (tmp_path / "old", old.parent):
        assert len(readers.make("ade20k", root, "validation")) == 2


def test_ids_against_the_authors_formula():
    rng = np.random.default_rng(0)
    mask = rng.integers(0, 256, (40, 50, 3)).astype(np.uint8)
    red, green, blue = mask[..., 0], mask[..., 1], mask[..., 2]
    classes = (red / 10).astype(np.int32) * 256 + green.astype(np.int32)
    ids = ade20k.decode(mask)
    np.testing.assert_array_equal(ids // 256, classes)
    np.testing.assert_array_equal(ids % 256, blue)


def test_one_object_number_of_two_classes_is_two_regions(scene, tmp_path):
    classes, objects = layouts.quarters(ids=(5, 6, 6, 300)), layouts.quarters(ids=(9, 9, 9, 9))
    path = scene / "ADE_train_00016860_seg.png"
    layouts.save(path, layouts.ade_mask(classes, objects))
    (ids,) = readers.make("ade20k", tmp_path, "training")[0]["labels"]
    np.testing.assert_array_equal(ids, classes * 256 + 9)


def test_a_class_without_object_is_a_region(scene, tmp_path):
    mask = layouts.ade_mask(layouts.quarters(ids=(0, 1, 256, 3)), np.zeros((12, 17), int))
    layouts.save(scene / "ADE_train_00016860_seg.png", mask)
    (ids,) = readers.make("ade20k", tmp_path, "training")[0]["labels"]
    np.testing.assert_array_equal(ids, layouts.quarters(ids=(-1, 256, 65536, 768)))


def test_parts_are_cut_out_of_their_objects(scene, tmp_path):
    whole = np.zeros((12, 17), int)
    whole[2:10, 2:15] = 1
    part, detail = np.zeros_like(whole), np.zeros_like(whole)
    part[4:8, 4:9], detail[5:7, 5:7] = 1, 1
    for ending, area, number in (("seg", whole, 3), ("parts_1", part, 4), ("parts_2", detail, 5)):
        mask = layouts.ade_mask(area * 256 * number, area * number)
        layouts.save(scene / f"ADE_train_00016860_{ending}.png", mask)

    def regions(parts):
        (ids,) = readers.make("ade20k", tmp_path, "training", parts=parts)[0]["labels"]
        return [int((ids == each).sum()) for each in np.unique(ids)]

    assert regions(0) == [204 - 104, 104]
    assert regions(1) == [204 - 104, 104 - 20, 20]
    assert regions(2) == regions(6) == [204 - 104, 104 - 20, 20 - 4, 4]


def test_part_ids_stay_apart_and_in_range(scene, tmp_path):
    mask = np.full((12, 17, 3), 255, np.uint8)
    for ending in ("seg", *(f"parts_{level}" for level in range(1, 7))):
        layouts.save(scene / f"ADE_train_00016860_{ending}.png", mask)
    highest = set()
    for parts in range(7):
        (ids,) = readers.make("ade20k", tmp_path, "training", parts=parts)[0]["labels"]
        highest.add(int(ids.max()))
    assert len(highest) == 7 and max(highest) < 2**24 - 1


def test_incomplete_and_unfit_files_are_named(scene, tmp_path):
    reader = readers.make("ade20k", tmp_path, "training")
    layouts.save(scene / "ADE_train_00016860_seg.png", np.zeros((5, 6, 3), np.uint8))
    with pytest.raises(InputError, match=r"16860_seg\.png: is 6x5, .* is 17x12"):
        reader[0]
    (scene / "ADE_train_00016861_seg.png").write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match=r"16861_seg\.png"):
        reader[1]
    (scene / "ADE_train_00016861.jpg").unlink()
    with pytest.raises(InputError, match=r"1 of 2 .*16861\.jpg"):
        readers.make("ade20k", tmp_path, "training")
    assert len(readers.make("ade20k", tmp_path, "validation")) == 2


def test_two_scenes_with_one_name(scene, tmp_path):
    twin = scene.parent / "alley"
    for ending in (".jpg", "_seg.png"):
        data = (scene / f"ADE_train_00016860{ending}").read_bytes()
        twin.mkdir(exist_ok=True)
        (twin / f"ADE_train_00016860{ending}").write_bytes(data)
    with pytest.raises(InputError, match=r"alley/.* and .*street/.* both are called"):
        readers.make("ade20k", tmp_path)


def test_real_streets(real_data, tmp_path):
    source = real_data / "fixtures_mixed"
    folder = tmp_path / "images" / "ADE" / "training" / "urban" / "street"
    expected = {}
    for path in sorted((source / "images").glob("ADE_*.jpg")):
        ids = np.asarray(Image.open(source / "labels" / f"{path.stem}.png")).astype(int)
        expected[path.stem] = ids
        layouts.save(folder / path.name, np.asarray(Image.open(path)))
        mask = layouts.ade_mask(ids % 150 * 20 * (ids > 0), ids)
        layouts.save(folder / f"{path.stem}_seg.png", mask)
    reader = readers.make("ade20k", tmp_path)
    assert len(reader) == 3
    for item in (reader[k] for k in range(3)):
        ids, want = item["labels"][0], expected[item["name"]]
        np.testing.assert_array_equal(ids == -1, want == 0)
        assert len(np.unique(ids)) == len(np.unique(want))
        np.testing.assert_array_equal(np.where(ids < 0, 0, ids % 256), want)


def test_masks_in_another_lossless_form(scene, tmp_path):
    expected = [readers.make("ade20k", tmp_path, "training")[k]["labels"][0] for k in (0, 1)]
    for path in sorted(scene.glob("*_seg.png")):
        Image.open(path).save(path.with_suffix(".tif"))
        path.unlink()
    reader = readers.make("ade20k", tmp_path, "training")
    for k in (0, 1):
        np.testing.assert_array_equal(reader[k]["labels"][0], expected[k])
