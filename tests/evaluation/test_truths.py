import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.data import images
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import truths
from tests.data.readers import test_coco_panoptic as coco
from tests.evaluation.predictions import forms
from tests.evaluation.stubs import blocks


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    for name in ("a", "b"):
        Image.fromarray(np.zeros((20, 24, 3), np.uint8)).save(tmp_path / f"images/{name}.png")
        for k in range(2):
            ids = blocks(rng, 20, 24) + 1
            ids[0] = 0
            images.write_labels(tmp_path / f"labels/{name}_{k}.png", ids)
    return tmp_path


def test_the_same_truth_in_three_forms(folder):
    opened = [
        truths.open_truths(f"folder:{folder}"),
        truths.open_truths(str(folder)),
        truths.open_truths(str(folder / "labels"), images_folder=str(folder / "images")),
    ]
    for each in opened:
        assert tuple(each.names) == ("a", "b") and "0" in each.unlabelled
        labels, image = each.read("b")
        assert len(labels) == 2 and image.shape == (20, 24, 3)
        assert all((ids[0] == -1).all() and ids[1:].min() > 0 for ids in labels)
        np.testing.assert_array_equal(labels, opened[0].read("b").labels)
    plain = truths.open_truths(str(folder / "labels"), zero="region")
    assert plain.read("a").image is None and plain.read("a").labels[0].min() == 0


def test_folder_specs_with_maps_only(folder):
    expected = truths.open_truths(f"folder:{folder}").read("b").labels
    pictures = folder / "elsewhere"
    (folder / "images").rename(pictures)
    (folder / "splits.json").write_text('{"val": ["b"], "more": ["b", "c"]}')
    plain = truths.open_truths(f"folder:{folder}")
    assert plain.names == ("a", "b") and plain.read("a").image is None
    np.testing.assert_array_equal(plain.read("b").labels, expected)
    some = truths.open_truths(f"folder:{folder},split=val,zero=region,images={pictures}")
    assert some.names == ("b",) and some.read("b").image.shape == (20, 24, 3)
    assert some.read("b").labels[0].min() == 0
    for spec, words in (
        (f"folder:{folder},split=more", "1 of the split have no map, the first is c"),
        (f"folder:{folder},split=none", "has no split"),
        (f"folder:{folder},pngs=x", "no option pngs=x; .* split, zero, images"),
        (f"png:{folder / 'labels'},zero=x", "zero=x is not known"),
        (f"levels:{folder}", "no truths"),
    ):
        with pytest.raises(InputError, match=words) as error:
            truths.open_truths(spec)
        assert "\n" not in str(error.value)
    spec = f"png:{folder / 'labels'},names=sample_suffix"
    assert truths.open_truths(spec).names == ("a", "b")
    with pytest.raises(InputError, match="names=whole"):
        truths.open_truths(f"png:{folder / 'labels'}")


def test_coco_panoptic_as_released_and_elsewhere(tmp_path):
    truth = coco.make(tmp_path)  # annotations/, panoptic_val2017/ and val2017/
    file = tmp_path / "annotations/panoptic_val2017.json"
    reader = truths.open_truths(f"coco_panoptic:{tmp_path},split=val")
    expected = [reader.read(name).labels[0] for name in reader.names]

    def same(opened):
        assert [name.partition(".")[0] for name in opened.names] == [
            name.partition(".")[0] for name in reader.names
        ]
        for name, ids in zip(opened.names, expected, strict=True):
            found = opened.read(name)
            assert forms.same_partition(found.labels[0], ids)
            assert found.image.shape == (*ids.shape, 3)

    assert len(truth) == 2
    same(truths.open_truths(f"coco_panoptic:{file},images={tmp_path / 'val2017'}"))
    same(truths.open_truths(str(file), images_folder=str(tmp_path / "val2017")))
    (tmp_path / "panoptic_val2017").rename(tmp_path / "maps")
    (tmp_path / "val2017").rename(tmp_path / "jpgs")
    places = f"images={tmp_path / 'jpgs'},pngs={tmp_path / 'maps'}"
    same(truths.open_truths(f"coco_panoptic:{file},{places}"))
    same(truths.open_truths(f"coco_panoptic:{tmp_path},split=val,{places}"))
    with pytest.raises(InputError, match="check pngs="):
        truths.open_truths(f"coco_panoptic:{tmp_path},split=val,{places}x")
    with pytest.raises(InputError, match="name the folder of its PNGs"):
        truths.open_truths(f"coco_panoptic:{file}")


def test_what_zero_means_must_be_said_where_it_covers_much(tmp_path):
    images.write_labels(tmp_path / "a.png", np.repeat([[0, 0, 1, 2]], 4, axis=0))
    with pytest.raises(InputError, match="id 0 covers 50%"):
        truths.open_truths(str(tmp_path))
    assert truths.open_truths(str(tmp_path), zero="ignore").read("a").labels[0].min() == -1
    with pytest.raises(InputError, match="zero"):
        truths.open_truths(str(tmp_path), zero="thing")
    with pytest.raises(InputError, match="no such folder of images"):
        truths.open_truths(str(tmp_path), zero="ignore", images_folder=str(tmp_path / "no"))


def test_names_are_matched_and_what_is_missing_is_told():
    found = truths.match(["c", "a", "z"], ["a", "b", "c", "d"])
    assert found == (("a", "c"), ("b", "d"), ("z",))
    assert found.text().splitlines() == [
        "2 of the ground truth have no prediction: b, d",
        "1 predictions have no ground truth: z",
    ]
    assert found.text(1).splitlines()[0].endswith("b, and 1 more")
    assert truths.match("ab", "ab").text() == ""
    with pytest.raises(InputError, match="name them alike"):
        truths.match(["x"], ["y"])


def test_what_no_mask_covers_may_be_a_region(tmp_path):
    masks, _ = forms.masks(1)
    np.savez(tmp_path / "a.npz", masks=masks[2:])
    ignored = truths.open_truths(str(tmp_path))
    (expected,) = ignored.read("a").labels
    assert expected.min() == -1
    for spec, zero in ((str(tmp_path), "region"), (f"npz:{tmp_path},zero=region", None)):
        opened = truths.open_truths(spec, zero=zero)
        assert "one region" in opened.unlabelled != ignored.unlabelled
        (labels,) = opened.read("a").labels
        rest = expected == -1
        np.testing.assert_array_equal(labels[~rest], expected[~rest])
        assert set(labels[rest]) == {expected.max() + 1}


def test_names_of_images_and_splits_beside_a_folder_of_labels(tmp_path):
    for k in range(3):
        (tmp_path / "labels").mkdir(exist_ok=True)
        images.write_labels(tmp_path / f"labels/a_{k}.png", np.full((4, 5), k + 1))
    with pytest.raises(InputError, match="--names"):
        truths.open_truths(str(tmp_path / "labels"))
    splits = tmp_path / "splits.json"
    splits.write_text('{"val": ["a"]}')
    assert truths.open_truths(str(tmp_path / "labels")).names == ("a",)
    splits.write_text('{"val": ["a_2"]}')
    assert truths.open_truths(f"folder:{tmp_path}").names == ("a_0", "a_1", "a_2")
    splits.unlink()
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / "images/a.jpg")
    assert truths.open_truths(str(tmp_path / "labels")).names == ("a",)


def test_match_tells_the_remedy_that_it_is_given():
    with pytest.raises(InputError, match="'x' and 1 such as 'y'; look there"):
        truths.match(["x"], ["y"], "look there")
