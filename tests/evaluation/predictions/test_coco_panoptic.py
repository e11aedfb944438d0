"""Panoptic predictions as panopticapi reads them."""

import json

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions import open_predictions
from tests.evaluation.predictions import forms

# detectron2: 1, 2, ...; mmdetection: category + 1000 instance; panopticapi: a colour.
SEGMENTS = (1, 2, 70_001, 16_777_215, 3_937_500)
CROWD, EMPTY = 2, 9


def write(root, json_name="predictions.json", folder="predictions", scores=False):
    truth, annotations = {}, []
    for image_id in (139, 285):
        ids = np.random.default_rng(image_id).choice([0, *SEGMENTS], (8, 9))
        ids[0, : len(SEGMENTS)] = SEGMENTS
        ids[1, 0] = 0
        truth[f"{image_id:012d}"] = ids
        (root / folder).mkdir(exist_ok=True, parents=True)
        file = f"{image_id:012d}.png"
        Image.fromarray(forms.id2rgb(ids)).save(root / folder / file)
        segments = [
            {"id": k, "category_id": 1, "iscrowd": int(k == CROWD)} for k in (*SEGMENTS, EMPTY)
        ]
        for each in segments:
            if scores:
                each["score"] = 1 / each["id"]
        annotations.append({"image_id": image_id, "file_name": file, "segments_info": segments})
    return forms.write_json(root / json_name, {"annotations": annotations}), truth


@pytest.mark.parametrize(
    "places",
    [
        ("predictions.json", "predictions"),
        ("predictions.json", "."),
        ("r.panoptic.json", "r.panoptic"),
    ],
)
@pytest.mark.parametrize("scores", [False, True])
def test_segments_are_regions(tmp_path, places, scores):
    path, truth = write(tmp_path, *places, scores=scores)
    for where in (path, tmp_path):
        predictions = open_predictions(where)
        assert predictions.kind == "coco_panoptic" and predictions.names == tuple(sorted(truth))
    for name, ids in truth.items():
        (labels,) = predictions.maps(name, ids.shape)
        expected = np.where((ids == 0) | (ids == CROWD), -1, ids)
        assert forms.same_partition(labels, expected) and labels.dtype == np.int32
        assert set(np.unique(labels)) == {-1, 0, 1, 2, 3}
        found = predictions.scores(name)
        if scores:
            np.testing.assert_array_equal(found[labels[labels >= 0]], 1 / ids[labels >= 0])
        else:
            assert found is None


def test_the_form_of_detectron2_with_the_images_listed(tmp_path):
    path, truth = write(tmp_path, folder="elsewhere")
    value = json.loads(path.read_text())
    value["images"] = [{"id": 139, "file_name": "139.jpg", "height": 8, "width": 9}]
    value["categories"] = [{"id": 1, "name": "ö"}]
    path.write_text(json.dumps(value))
    with pytest.raises(InputError, match="pngs="):
        open_predictions(path)
    predictions = open_predictions(path, pngs=tmp_path / "elsewhere")
    assert predictions.names == tuple(sorted(truth))


@pytest.mark.parametrize("tool", ["detr", "oneformer"])
def test_the_forms_of_detr_and_oneformer(tmp_path, tool):
    """In COCO's places: annotations/NAME.json, and the PNGs in NAME/ beside that folder."""
    (tmp_path / "annotations").mkdir()
    path, truth = write(tmp_path, "annotations/panoptic_val2017.json", "panoptic_val2017")
    value = json.loads(path.read_text())
    for annotation in value["annotations"]:
        for each in annotation["segments_info"]:
            each.pop("iscrowd")  # predictions have no crowds
            each["isthing"] = tool == "detr" or each["id"] % 2 == 0
            each |= {"area": 7} if tool == "detr" else {"score": None}
    path.write_text(json.dumps(value if tool == "oneformer" else {**value, "predictions": []}))
    predictions = open_predictions(path)
    for name, ids in truth.items():
        (labels,) = predictions.maps(name, ids.shape)
        assert forms.same_partition(labels, np.where(ids == 0, -1, ids))
        assert predictions.scores(name) is None
    assert predictions.score_per_region() == "constant"


def test_void_alone(tmp_path):
    path, _ = write(tmp_path)
    value = json.loads(path.read_text())
    value["annotations"][0]["segments_info"] = []
    path.write_text(json.dumps(value))
    Image.new("RGB", (9, 8)).save(tmp_path / "predictions" / "000000000139.png")
    predictions = open_predictions(path)
    np.testing.assert_array_equal(predictions.maps("000000000139")[0], np.full((8, 9), -1))
    assert predictions.scores("000000000139") is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a[0].pop("file_name"), "file_name"),
        (lambda a: a[0].update(file_name="../x.png"), "file_name"),
        (lambda a: a[0].update(file_name=a[1]["file_name"]), "file_name of its own"),
        (lambda a: a.append(a[0]), "one annotation"),
        (lambda a: a[0].update(segments_info=[{"category_id": 1}]), "records with an id"),
        (lambda a: a[0].update(segments_info=a[0]["segments_info"][1:]), "has segment 1, which"),
        (lambda a: [each.pop("segments_info") for each in a], "need 'segments_info'"),
        (lambda a: a.clear(), "no predictions"),
        (lambda a: a[0]["segments_info"][0].update(iscrowd="no"), "iscrowd is 'no'"),
        (lambda a: a[0]["segments_info"][0].update(id=-1), "id is -1"),
        (lambda a: a[0]["segments_info"][0].update(id=1.5), "id is 1.5"),
        (lambda a: a[0]["segments_info"][0].update(score="x"), "score is 'x'"),
        (lambda a: a[0].update(segments_info=7), "records with an id"),
    ],
)
def test_errors_are_one_line(tmp_path, change, words):
    path, _ = write(tmp_path)
    value = json.loads(path.read_text())
    change(value["annotations"])
    path.write_text(json.dumps(value))
    with pytest.raises(InputError, match=words) as error:
        open_predictions(path, "coco_panoptic").maps("000000000139")
    assert "\n" not in str(error.value)


def test_missing_and_altered_pngs(tmp_path):
    path, _ = write(tmp_path)
    predictions = open_predictions(path)
    png = tmp_path / "predictions" / "000000000139.png"
    Image.open(png).convert("P").save(png)
    with pytest.raises(InputError, match="8-bit RGB"):
        predictions.maps("000000000139")
    png.unlink()
    with pytest.raises(InputError, match="no such file"):
        predictions.maps("000000000139")
    with pytest.raises(InputError, match="its picture is 9x80"):
        predictions.maps("000000000285", (80, 9))
    with pytest.raises(InputError, match="no prediction for 'x'"):
        predictions.scores("x")


def test_numbers_and_flags_in_other_forms(tmp_path):
    path, _ = write(tmp_path)
    predictions = open_predictions(path)
    expected = {name: predictions.maps(name)[0] for name in predictions.names}
    value = json.loads(path.read_text())
    for annotation in value["annotations"]:
        annotation["image_id"] = float(annotation["image_id"])
        annotation["file_name"] = f"sub\\{annotation['file_name']}"  # from Windows
        for each in annotation["segments_info"]:
            each |= {"id": str(each["id"]), "iscrowd": str(each["iscrowd"])}
    path.write_text(json.dumps(value))
    (tmp_path / "predictions").rename(tmp_path / "sub")
    found = open_predictions(path, like=expected)
    assert set(found.names) == set(expected)
    for name, labels in expected.items():
        np.testing.assert_array_equal(found.maps(name)[0], labels)
