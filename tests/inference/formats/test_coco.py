import json

import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image

from bitdiff_jax.data.readers import runs
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import predictions
from bitdiff_jax.inference import formats
from tests.inference.formats import cases

# Of [[1, 1, 0], [2, 1, 1]], by pycocotools 2.0.11.
GOLDEN = {1: "01110O", 2: "114"}


@settings(max_examples=60, deadline=None)
@given(cases.label_maps)
def test_run_lengths_are_the_masks(label_map):
    found = formats.run_lengths(label_map)
    assert list(found) == [each for each in np.unique(label_map) if each > 0]
    for region, counts in found.items():
        mask = np.zeros(label_map.size, bool)
        size = list(label_map.shape)
        for begin, length in runs.runs({"size": size, "counts": counts}, *size):
            mask[begin : begin + length] = True
        want = label_map == region
        np.testing.assert_array_equal(mask.reshape(want.T.shape).T, want)


@pytest.mark.parametrize("shape", [(7, 5), (300, 200), (2000, 3)])
def test_pycocotools_writes_the_same_characters(shape):
    coco = pytest.importorskip("pycocotools.mask")
    for label_map in (cases.blobs(*shape, 6), np.random.default_rng(0).integers(0, 4, shape)):
        for region, counts in formats.run_lengths(label_map).items():
            want = coco.encode(np.asfortranarray(label_map == region, np.uint8))
            assert want["counts"].decode() == counts


def test_golden_characters():
    assert formats.run_lengths(np.array([[1, 1, 0], [2, 1, 1]])) == GOLDEN
    assert formats.run_lengths(np.zeros((2, 3), int)) == {}


def test_instances_as_pycocotools_reads_them(tmp_path, capsys):
    coco = pytest.importorskip("pycocotools.coco")
    images = {"cat": cases.segmentation(file="there/cat.jpg"), "dog": cases.segmentation("dog")}
    for name, image in images.items():
        image.save(tmp_path, ["coco_instances"], name=name)
    found = coco.COCO(tmp_path / "coco_instances.json")
    capsys.readouterr()
    assert [each["file_name"] for each in found.imgs.values()] == ["cat.jpg", "dog.png"]
    assert len(found.anns) == sum(len(image.regions()) for image in images.values())
    for record in found.imgs.values():
        image = images[record["name"]]
        annotations = found.imgToAnns[record["id"]]
        for region, annotation in zip(image.regions(), annotations, strict=True):
            mask = found.annToMask(annotation)
            np.testing.assert_array_equal(mask, image.label_map() == region.id)
            left, top, width, height = annotation["bbox"]
            rows, columns = np.nonzero(mask)
            assert (top, left) == (rows.min(), columns.min()) and annotation["area"] == mask.sum()
            assert (height, width) == (np.ptp(rows) + 1, np.ptp(columns) + 1)
            assert annotation["score"] == pytest.approx(region.agreement, abs=1e-4)


def test_panoptic_as_its_readers_have_it(tmp_path):
    image = cases.segmentation(has_background=True)
    image.save(tmp_path, ["coco_panoptic"])
    cases.segmentation(num_samples=1).save(tmp_path, ["coco_panoptic"], name="alone")
    read = predictions.open_predictions(tmp_path / "coco_panoptic.json", kind="coco_panoptic")
    (drawn,) = read.maps("cat")
    np.testing.assert_array_equal(drawn + 1, image.label_map())
    written = json.loads((tmp_path / "coco_panoptic.json").read_text())
    colours = np.asarray(Image.open(tmp_path / "coco_panoptic" / "cat.png")).astype(int)
    ids = colours @ [1, 256, 65536]
    first, second = written["annotations"]
    assert first["file_name"] == "cat.png"
    assert [each["id"] for each in first["segments_info"]] == np.unique(ids)[1:].tolist()
    assert [each["area"] for each in first["segments_info"]] == np.bincount(ids.ravel())[
        1:
    ].tolist()
    assert "score" in first["segments_info"][0] and "score" not in second["segments_info"][0]
    assert {each["category_id"] for each in first["segments_info"]} == {
        each["id"] for each in written["categories"]
    }


def test_panopticapi_finds_each_segment(tmp_path, capsys):
    evaluation = pytest.importorskip("panopticapi.evaluation")
    cases.segmentation(has_background=True).save(tmp_path, ["coco_panoptic"])
    found = json.loads((tmp_path / "coco_panoptic.json").read_text())
    categories = {each["id"]: each for each in found["categories"]}
    pngs = tmp_path / "coco_panoptic"
    pairs = [(each, each) for each in found["annotations"]]
    scored = evaluation.pq_compute_single_core(0, pairs, pngs, pngs, categories)
    capsys.readouterr()
    assert scored.pq_average(categories, isthing=None)[0]["pq"] == 1


def test_ids_of_three_bytes():
    label_map = np.array([[70_000, 0], [255, 256]])
    colours = formats.segment_colours(label_map)
    assert colours.dtype == np.uint8
    np.testing.assert_array_equal(colours.astype(int) @ [1, 256, 65536], label_map)
    with pytest.raises(InputError, match="do not fit 24 bits"):
        formats.segment_colours(label_map * 1000)


@pytest.mark.parametrize("name", ["coco_panoptic", "coco_instances"])
def test_the_file_grows_and_shrinks_by_images(name, tmp_path):
    path = tmp_path / f"{name}.json"
    (written,) = formats.open_formats([name]).values()

    def content():
        found = json.loads(path.read_text())
        numbers = {each["id"]: each["name"] for each in found["images"]}
        assert {each["image_id"] for each in found["annotations"]} <= set(numbers)
        ids = [each["id"] for each in found["annotations"] if "id" in each]
        assert len(set(ids)) == len(ids)
        return list(numbers.values())

    for each in ("a", "b", "c"):
        cases.segmentation(each).save(tmp_path, [name])
    assert content() == ["a", "b", "c"]
    cases.segmentation("b").save(tmp_path, [name])
    assert content() == ["a", "c", "b"]
    written.forget(tmp_path, ["a", "unknown"])
    assert content() == ["c", "b"]
    nothing = cases.segmentation("d", has_background=True)
    nothing.codes[:] = 0
    nothing.save(tmp_path, [name])
    assert content() == ["c", "b", "d"]
    cases.segmentation("e").save(tmp_path, [name])
    assert content() == ["c", "b", "d", "e"]
    written.forget(tmp_path, ["b", "c", "d", "e"])
    assert not list(tmp_path.iterdir())
    written.forget(tmp_path, ["b"])


def test_a_png_of_others_is_neither_overwritten_nor_removed(tmp_path):
    path = tmp_path / "coco_panoptic" / "cat.png"
    path.parent.mkdir()
    path.write_text("theirs")
    with pytest.raises(InputError, match=r"cat.png: is there, and coco_panoptic.json does not"):
        cases.segmentation().save(tmp_path, ["coco_panoptic"])
    formats.FORMATS["coco_panoptic"].forget(tmp_path, ["cat"])
    assert path.read_text() == "theirs"


@pytest.mark.parametrize("text", ["[]", "{}", '{"images": [\n', "\0"])
def test_another_file_of_that_name(text, tmp_path):
    path = tmp_path / "coco_instances.json"
    path.write_text(text)
    with pytest.raises(InputError, match="is no file of `bitdiff segment`, or was changed"):
        cases.segmentation().save(tmp_path, ["coco_instances"])
    assert path.read_text() == text
