"""GeoJSON for QuPath, labelme and ImageJ."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import formats
from bitdiff_jax.inference.formats import labelme
from tests.inference.formats import cases


def read(path):
    return json.loads(path.read_text())


def test_geojson_for_qupath(tmp_path):
    image = cases.segmentation()
    image.save(tmp_path, ["geojson", "geojson_detections"])
    found = read(tmp_path / "cat_regions.geojson")
    assert found["type"] == "FeatureCollection"
    for region, feature in zip(image.regions(), found["features"], strict=True):
        properties = feature["properties"]
        assert properties["objectType"] == "annotation"
        assert properties["name"] == f"Region {region.id}"
        measured = properties["measurements"]
        assert measured["Area px"] == region.area and measured["Pieces"] == region.pieces
        assert measured["Agreement"] == pytest.approx(region.agreement, abs=1e-4)
        assert (measured["Area low px"], measured["Area high px"]) == region.area_interval
        assert all(type(value) in (int, float) for value in measured.values())
        kind = feature["geometry"]["type"]
        assert kind == ("Polygon" if region.pieces == 1 else "MultiPolygon")
    assert {each["geometry"]["type"] for each in found["features"]} == {"Polygon", "MultiPolygon"}
    others = read(tmp_path / "cat_detections.geojson")["features"]
    assert {each["properties"]["objectType"] for each in others} == {"detection"}
    assert len({each["id"] for each in others}) == len(others)


@pytest.mark.parametrize("has_background", [False, True])
def test_geojson_as_shapely_reads_it(has_background):
    shapely = pytest.importorskip("shapely")
    image = cases.segmentation(has_background=has_background)
    found = formats.feature_collection(image, tolerance=0)
    rows, columns = np.mgrid[:48, :64] + 0.5
    assert len(found["features"]) == image.label_map().max()
    for region, feature in enumerate(found["features"], 1):
        geometry = shapely.geometry.shape(feature["geometry"])
        assert geometry.is_valid
        inside = shapely.contains_xy(geometry, columns, rows)
        np.testing.assert_array_equal(inside, image.label_map() == region)
        for polygon in getattr(geometry, "geoms", [geometry]):
            assert polygon.exterior.is_ccw and not any(hole.is_ccw for hole in polygon.interiors)


def test_geojson_of_one_sample_and_another_type():
    (first, *_) = formats.feature_collection(cases.segmentation(num_samples=1))["features"]
    assert set(first["properties"]["measurements"]) == {
        "Area px", "Pieces", "Mean red", "Mean green", "Mean blue",
    }  # fmt: skip
    with pytest.raises(InputError, match=r"object_type is 'anotation'.*did you mean annotation"):
        formats.feature_collection(cases.segmentation(), "anotation")


def twice_the_area(points):
    x, y = np.array(points).T
    return abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())


def test_labelme(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    image = cases.segmentation(file=str(pictures / "cat.jpg"), has_background=True)
    image.save(tmp_path / "out", ["labelme"])
    found = read(tmp_path / "out" / "cat_labelme.json")
    assert found["imagePath"] == "../pictures/cat.jpg" and found["imageData"] is None
    assert (found["imageHeight"], found["imageWidth"]) == image.shape
    areas = np.zeros(image.label_map().max() + 1)
    for shape in found["shapes"]:
        assert shape["shape_type"] == "polygon" and isinstance(shape["label"], str)
        areas[shape["group_id"]] += twice_the_area(shape["points"]) / 2
    np.testing.assert_array_equal(areas[1:], [region.area for region in image.regions()])
    pieces = np.bincount([shape["group_id"] for shape in found["shapes"]])
    assert pieces[1:].tolist() == [region.pieces for region in image.regions()]


def test_labelme_holds_an_image_that_has_no_file(tmp_path):
    image = cases.segmentation()
    image.save(tmp_path, ["labelme"])
    data = base64.b64decode(read(tmp_path / "cat_labelme.json")["imageData"])
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), image.image)


def test_labelme_reads_it(tmp_path):
    LabelFile = pytest.importorskip("labelme", exc_type=ImportError).LabelFile
    image = cases.segmentation()
    image.save(tmp_path, ["labelme"])
    found = LabelFile(str(tmp_path / "cat_labelme.json"))
    assert len(found.shapes) == sum(region.pieces for region in image.regions())
    np.testing.assert_array_equal(Image.open(io.BytesIO(found.image_data)), image.image)


def test_a_ring_with_slits_covers_the_same_pixels():
    label_map = np.ones((40, 50), int)
    label_map[3:9, 4:11] = label_map[3:9, 15:20] = label_map[20:30, 6:40] = 2
    label_map[22:24, 10:12] = 1
    for polygons in formats.outlines(label_map, 0).values():
        for polygon in polygons:
            wide = 4 * labelme.single_ring(polygon)  # the sides themselves are painted too
            canvas = Image.new("1", (200, 160))
            ImageDraw.Draw(canvas).polygon([tuple(point) for point in wide.tolist()], fill=1)
            want = Image.new("1", (200, 160))
            for ring in polygon.rings:
                points = [tuple(point) for point in (4 * ring).tolist()]
                ImageDraw.Draw(want).polygon(points, fill=int(ring is polygon.exterior))
            inner = np.s_[2::4, 2::4]
            np.testing.assert_array_equal(np.asarray(canvas)[inner], np.asarray(want)[inner])


def test_imagej_as_roifile_reads_it(tmp_path):
    roifile = pytest.importorskip("roifile")
    shapely = pytest.importorskip("shapely")
    image = cases.segmentation(has_background=True)
    image.save(tmp_path, [formats.FORMATS["imagej"]])
    found = roifile.roiread(tmp_path / "cat_rois.zip")
    rows, columns = np.mgrid[:48, :64] + 0.5
    for region, roi in zip(image.regions(), found, strict=True):
        assert roi.name == f"region-{region.id:04}"
        assert roi.props == f"agreement: {region.agreement:.4f}\n"
        inside = np.zeros(image.shape, bool)  # by the even-odd rule, as ImageJ has it
        rings = roi.coordinates(multi=True)
        for ring in rings if isinstance(rings, list) else [rings]:
            inside ^= shapely.contains_xy(shapely.Polygon(ring), columns, rows)
        np.testing.assert_array_equal(inside, image.label_map() == region.id)
        assert (roi.top, roi.left) == region.box[:2]
    again = tmp_path / "again"
    image.save(again, ["imagej"])
    assert (again / "cat_rois.zip").read_bytes() == (tmp_path / "cat_rois.zip").read_bytes()


def test_the_tolerance_is_that_of_each_format():
    chosen = formats.open_formats(["geojson", "labelme", "npz"])
    changed = formats.with_tolerance(chosen, 0)
    assert changed["geojson"].tolerance == changed["labelme"].tolerance == 0
    assert changed["npz"] is chosen["npz"] and chosen["geojson"].tolerance == 1
    with pytest.raises(InputError, match="tolerance is -2"):
        formats.with_tolerance(chosen, -2)
