"""npz, the stack of hypotheses, FiftyOne's folder, supervision, and what does not fit a format."""

import json
import pathlib
import sys
import types

import numpy as np
import pytest
from PIL import Image, ImageSequence
from scipy import ndimage

from bitdiff_jax.data import images
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import formats
from bitdiff_jax.inference.formats import archive
from bitdiff_jax.inference.segmentation import Segmentation
from tests.inference import tiny
from tests.inference.formats import cases


def many(number, shape):
    """Each pixel of the first `number` is a region, and the rest is one more."""
    codes = np.minimum(np.arange(np.prod(shape)).reshape(shape), number - 1)
    sure = np.ones((1, *shape), np.float32)
    return Segmentation(np.zeros((*shape, 3), np.uint8), codes[None], sure, 0, "many", min_area=0)


def test_npz(tmp_path):
    image = cases.segmentation()
    image.save(tmp_path, ["npz"])
    found = archive.read(tmp_path / "cat_maps.npz")
    np.testing.assert_array_equal(found.label_map, image.label_map())
    np.testing.assert_array_equal(found.label_maps, image.label_maps)
    np.testing.assert_array_equal(found.codes, image.codes)
    np.testing.assert_array_equal(found.agreement, image.agreement)
    assert found.label_maps.dtype == np.uint8
    many(300, (20, 20)).save(tmp_path, ["npz"])
    found = archive.read(tmp_path / "many_maps.npz")
    assert found.label_map.dtype == np.uint16 and found.agreement is None


@pytest.mark.parametrize("name", ["cut", "text", "other"])
def test_what_is_no_npz_of_ours(name, tmp_path):
    cases.segmentation().save(tmp_path, ["npz"])
    path = tmp_path / "cat_maps.npz"
    if name == "other":
        np.savez(path, thing=np.zeros(3))
    else:
        path.write_bytes(path.read_bytes()[:200] if name == "cut" else b"hello")
    with pytest.raises(InputError, match="is no npz file of `bitdiff segment`, whose arrays are"):
        archive.read(path)


def test_hypotheses_as_pages(tmp_path):
    image = cases.segmentation()
    image.save(tmp_path, ["hypotheses"])
    with Image.open(tmp_path / "cat_hypotheses.tif") as file:
        pages = [np.array(page) for page in ImageSequence.Iterator(file)]
    np.testing.assert_array_equal(pages, image.label_maps)
    assert pages[0].dtype == np.uint16
    tifffile = pytest.importorskip("tifffile")
    np.testing.assert_array_equal(
        tifffile.imread(tmp_path / "cat_hypotheses.tif"), image.label_maps
    )


def test_hypotheses_over_time_as_ultrack_takes_them():
    frames = [cases.segmentation("a"), cases.segmentation("b")]
    labels = formats.hypotheses(frames)
    assert len(labels) == 3 and {each.shape for each in labels} == {(2, 48, 64)}
    for sample, each in enumerate(labels):
        for frame, label_map in zip(frames, each, strict=True):
            np.testing.assert_array_equal(label_map, frame.label_map(sample))
    # ultrack.utils.labels_to_contours: the share of hypotheses with a boundary at a pixel.
    cross = ndimage.generate_binary_structure(2, 1)
    edges = [ndimage.grey_dilation(each[0], footprint=cross) != each[0] for each in labels]
    contours = np.mean(edges, axis=0)
    assert set(np.unique(contours)) == {0, np.float64(2 / 3), 1}
    with pytest.raises(InputError, match="frames have"):
        formats.hypotheses([frames[0], cases.segmentation(num_samples=2)])
    with pytest.raises(InputError, match="frames have"):
        formats.hypotheses([])


def test_ultrack_makes_contours_of_them():
    utils = pytest.importorskip("ultrack.utils")
    frames = [cases.segmentation(name, has_background=True) for name in ("a", "b")]
    made = utils.labels_to_contours(formats.hypotheses(frames))  # zarr's arrays
    foreground, contours = map(np.asarray, made)
    for t, frame in enumerate(frames):
        np.testing.assert_array_equal(foreground[t], (frame.label_maps > 0).any(axis=0))
    assert contours.shape == foreground.shape == (2, 48, 64)
    assert 0 < contours.mean() < 1 and contours.max() == 1


def test_the_folder_that_fiftyone_imports(tmp_path):
    """Masks by the names under which data.json lists the images, as its importer joins them."""
    picture = tmp_path / "there" / "cat.png"
    picture.parent.mkdir()
    with_file, without = cases.segmentation(file=str(picture)), cases.segmentation("dog.v2")
    Image.fromarray(with_file.image).save(picture)
    for each in (with_file, without):
        each.save(tmp_path / "out", ["fiftyone"])
    folder = tmp_path / "out" / "fiftyone"
    # `ImageSegmentationDirectoryImporter.setup` takes both names without their ending.
    listed = {pathlib.Path(key).stem: file for key, file in listed_files(folder).items()}
    masks = {path.stem: path for path in (folder / "labels").iterdir()}
    assert masks.keys() == listed.keys() == {"cat", "dog.v2"}
    for name, file in listed.items():
        image = np.asarray(Image.open(folder / file))
        np.testing.assert_array_equal(image, with_file.image)
        mask = np.asarray(Image.open(masks[name]))
        assert mask.dtype == np.uint8
        np.testing.assert_array_equal(mask, with_file.label_map())
    written = formats.FORMATS["fiftyone"]
    written.forget(tmp_path / "out", ["cat", "unknown"])
    assert list(listed_files(folder)) == ["dog.v2.png"]
    written.forget(tmp_path / "out", ["dog.v2"])
    assert not folder.exists() and picture.exists()
    folder.mkdir()
    (folder / "data.json").write_text("[]")
    with pytest.raises(InputError, match="is no list of files"):
        without.save(tmp_path / "out", ["fiftyone"])


def listed_files(folder):
    return json.loads((folder / "data.json").read_text())


def test_fiftyone_imports_masks_and_instances(tmp_path):
    """Needs FiftyOne and a MongoDB, which FIFTYONE_DATABASE_URI may name."""
    fiftyone = pytest.importorskip("fiftyone")
    wanted = {}
    for name in ("cat", "dog.v2"):
        path = tmp_path / "there" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        image = cases.segmentation(name, file=str(path), has_background=True)
        Image.fromarray(image.image).save(path)
        image.save(tmp_path / "out", ["fiftyone", "coco_instances"])
        wanted[str(path)] = image.label_map()
    folder = tmp_path / "out" / "fiftyone"
    kinds = fiftyone.types
    dataset = fiftyone.Dataset.from_dir(
        str(folder), kinds.ImageSegmentationDirectory, data_path="data.json"
    )
    assert {each.filepath for each in dataset} == wanted.keys()
    for sample in dataset:
        np.testing.assert_array_equal(sample.ground_truth.get_mask(), wanted[sample.filepath])
    instances = fiftyone.Dataset.from_dir(
        dataset_type=kinds.COCODetectionDataset,
        data_path=str(tmp_path / "there"),
        labels_path=str(tmp_path / "out" / "coco_instances.json"),
        label_types="segmentations",
    )
    assert {each.filepath for each in instances} == wanted.keys()
    for sample in instances:
        label_map = wanted[sample.filepath]
        (field,) = (
            name for name in sample.field_names if isinstance(sample[name], fiftyone.Detections)
        )
        masks = np.zeros_like(label_map)
        for region, found in enumerate(sample[field].detections, 1):
            left, top, _, _ = np.round(np.tile(label_map.shape[::-1], 2) * found.bounding_box)
            height, width = found.mask.shape
            place = masks[int(top) : int(top) + height, int(left) : int(left) + width]
            place[found.mask.astype(bool)] = region
        np.testing.assert_array_equal(masks, label_map)


@pytest.mark.parametrize("part", ["labels", "data"])
def test_files_of_others_are_neither_overwritten_nor_removed(part, tmp_path):
    path = tmp_path / "fiftyone" / part / "cat.png"
    path.parent.mkdir(parents=True)
    path.write_text("theirs")
    with pytest.raises(InputError, match=r"cat.png: is there, and fiftyone/data.json does not"):
        cases.segmentation().save(tmp_path, ["fiftyone"])
    formats.FORMATS["fiftyone"].forget(tmp_path, ["cat"])
    assert path.read_text() == "theirs"


def test_a_result_knows_the_file_that_it_was_read_from(segmenter, tmp_path):
    pixels = tiny.image(20, 24)
    Image.fromarray(pixels).save(tmp_path / "cat.png")
    assert segmenter(tmp_path / "cat.png").file == str(tmp_path / "cat.png")
    assert segmenter(pixels).file == ""


def test_supervision():
    package = pytest.importorskip("supervision")
    image = cases.segmentation(has_background=True)
    found = image.to_supervision()
    assert isinstance(found, package.Detections) and len(found) == image.label_map().max()
    for i, region in enumerate(image.regions()):
        np.testing.assert_array_equal(found.mask[i], image.label_map() == region.id)
        top, left, bottom, right = region.box
        assert found.xyxy[i].tolist() == [left, top, right, bottom]
        assert found.confidence[i] == pytest.approx(region.agreement)
        low_high = found.data["area_low"][i], found.data["area_high"][i]
        assert low_high == region.area_interval and found.data["region"][i] == region.id
    np.testing.assert_array_equal(found.area, [region.area for region in image.regions()])
    single = cases.segmentation(num_samples=1).to_supervision()
    assert "area_low" not in single.data and single.confidence.tolist() == [1.0] * len(single)
    empty = cases.segmentation(has_background=True)
    empty.codes[:] = 0
    assert len(empty.to_supervision()) == 0


def test_what_supervision_is_given(monkeypatch):
    stand_in = types.SimpleNamespace(Detections=types.SimpleNamespace)
    monkeypatch.setitem(sys.modules, "supervision", stand_in)
    image = cases.segmentation()
    given = image.to_supervision(sample=1)
    label_map, regions = image.label_map(1), image.regions(1)
    np.testing.assert_array_equal(given.mask, [label_map == region.id for region in regions])
    tops_lefts = [[region.box[1], region.box[0]] for region in regions]
    assert given.xyxy[:, :2].tolist() == tops_lefts
    np.testing.assert_allclose(given.confidence, [region.agreement for region in regions])


def test_masks_that_would_fill_the_memory(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", types.SimpleNamespace())
    with pytest.raises(InputError, match=r"70000 masks of 300 x 300 would take 6 GiB; .*greater"):
        many(70_000, (300, 300)).to_supervision()


def test_more_regions_than_a_format_holds(tmp_path):
    some, more = many(256, (20, 20)), many(70_000, (270, 270))
    for image, name, says in (
        (some, "id_png8", "256 regions do not fit 8 bits, which hold 255; .* id_png, npz"),
        (more, "id_png", "70000 regions do not fit 16 bits, which hold 65535; .* format npz"),
        (more, "fiftyone", "70000 regions do not fit 16 bits"),
    ):
        with pytest.raises(InputError, match=says) as caught:
            image.save(tmp_path, [name])
        assert "greater min_area" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    many(255, (20, 20)).save(tmp_path, ["id_png8"])
    ids = images.read_labels(tmp_path / "many_labels8.png")
    assert ids.max() == 255 and Image.open(tmp_path / "many_labels8.png").mode == "L"


@pytest.mark.slow
def test_formats_that_hold_any_number_of_regions(tmp_path):
    image = many(70_000, (270, 270))
    image.save(tmp_path, ["npz", "hypotheses"])
    label_map = image.label_map()
    np.testing.assert_array_equal(archive.read(tmp_path / "many_maps.npz").label_map, label_map)
    with Image.open(tmp_path / "many_hypotheses.tif") as file:
        np.testing.assert_array_equal(np.array(file), label_map)
    colours = formats.segment_colours(label_map).astype(int)
    np.testing.assert_array_equal(colours @ [1, 256, 65536], label_map)
    assert len(formats.run_lengths(label_map)) == 70_000
    found = formats.outlines(label_map)
    assert len(found) == 70_000 and len(found[70_000][0].exterior) == 5


@pytest.mark.parametrize("name, package", [("imagej", "roifile"), ("supervision", "supervision")])
def test_a_package_that_is_missing(name, package, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, package, None)
    says = rf"needs {package}: pip install 'bitdiff_jax\[{package}\]'$"
    with pytest.raises(InputError, match=says):
        if name == "supervision":
            cases.segmentation().to_supervision()
        else:
            formats.open_formats([name])


def test_a_name_that_is_almost_right():
    with pytest.raises(InputError, match=r"'geojsn' is not known; use .*; did you mean geojson"):
        formats.open_formats(["geojsn"])
