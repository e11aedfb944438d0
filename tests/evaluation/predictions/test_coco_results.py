"""Detectors' results, in detectron2's form."""

import json

import numpy as np
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions import masks_to_partition, open_predictions
from bitdiff_jax.evaluation.predictions.masks_to_partition import Rule
from tests.evaluation.predictions import forms


@pytest.fixture
def written(tmp_path):
    """Three pictures, by turns in the file; and a list of four."""
    truth = {image_id: forms.masks(image_id) for image_id in (139, 285, 100_000_139)}
    records = [
        forms.result(image_id, masks[i], scores[i], forms.unpacked if i == 3 else forms.packed)
        for i in range(6)
        for image_id, (masks, scores) in truth.items()
    ]
    path = forms.write_json(tmp_path / "inference" / "coco_instances_results.json", records)
    images = [
        {"id": image_id, "file_name": f"{image_id:012d}.jpg", "height": forms.H, "width": forms.W}
        for image_id in (*truth, 632)
    ]
    listed = forms.write_json(tmp_path / "val.json", {"images": images, "annotations": []})
    return path, listed, truth


def test_each_image_by_the_id(written):
    path, _, truth = written
    predictions = open_predictions(path)
    assert predictions.kind == "coco_results"
    assert predictions.names == ("100000139", "139", "285")
    for image_id, (masks, scores) in truth.items():
        expected = masks_to_partition.partition(masks, scores)
        (labels,) = predictions.maps(str(image_id), (forms.H, forms.W))
        np.testing.assert_array_equal(labels, expected.labels)
        np.testing.assert_array_equal(predictions.scores(str(image_id)), expected.scores)
        assert labels.dtype == np.int32 and (labels == -1).any()


def test_the_rule_is_used_and_told(written):
    path, _, truth = written
    rule = Rule("smaller", min_score=0.5)
    predictions = open_predictions(path, rule=rule)
    expected = masks_to_partition.partition(*truth[139], rule=rule)
    np.testing.assert_array_equal(predictions.maps("139")[0], expected.labels)
    assert predictions.rule == str(rule)


def test_names_of_the_truth(written):
    path, listed, _ = written
    like = ("val2017/000000000139.jpg", "000000000285", "000000000632")
    assert open_predictions(path, like=like).names == (
        "000000000285",
        "100000139",
        "val2017/000000000139.jpg",
    )
    names = open_predictions(path, images=listed).names
    assert names == ("000000000139", "000000000285", "000000000632", "000100000139")


def test_a_image_in_which_nothing_was_found(written):
    path, listed, _ = written
    predictions = open_predictions(path, images=listed)
    (labels,) = predictions.maps("000000000632")
    np.testing.assert_array_equal(labels, np.full((forms.H, forms.W), -1))
    assert len(predictions.scores("000000000632")) == 0
    with pytest.raises(InputError, match="no prediction for '632'"):
        open_predictions(path).maps("632")


def test_a_folder_of_detectron2(written):
    path, _, _ = written
    (path.parent / "instances_predictions.pth").write_bytes(b"not ours")
    for folder in (path.parent, path.parent.parent):
        assert open_predictions(folder).kind == "coco_results"


def test_a_file_longer_than_a_piece(written, monkeypatch):
    from bitdiff_jax.evaluation.predictions import json_index

    path, listed, truth = written
    whole = [open_predictions(path).maps(str(k))[0] for k in truth]
    for piece in (1, 7, 500):
        monkeypatch.setattr(json_index, "_PIECE", piece)
        pieces = open_predictions(path, images=listed if piece > 1 else None)
        for name in pieces.names:
            if int(name) in truth:
                k = list(truth).index(int(name))
                np.testing.assert_array_equal(pieces.maps(name)[0], whole[k])


def test_an_annotation_file_and_its_crowds(tmp_path):
    masks, _ = forms.masks(1)
    annotations = [
        {
            "id": i,
            "image_id": "é",
            "iscrowd": int(i == 1),
            "segmentation": forms.unpacked(mask) if i == 1 else forms.packed(mask),
        }
        for i, mask in enumerate(masks)
    ]
    annotations.append({"id": 9, "image_id": "é", "segmentation": [[0, 0, 3, 0, 3, 3, 0, 3]]})
    images = [{"id": "é", "file_name": "é.jpg", "height": forms.H, "width": forms.W}]
    path = tmp_path / "annotations.json"
    value = {"info": {}, "images": images, "annotations": annotations, "licenses": []}
    path.write_text(json.dumps(value, ensure_ascii=False), "utf-8")
    predictions = open_predictions(path)
    (labels,) = predictions.maps("é")
    corner = np.zeros((forms.H, forms.W), bool)
    corner[:3, :3] = True
    expected = masks_to_partition.partition([*masks[[0, 2, 3, 4, 5]], corner]).labels
    np.testing.assert_array_equal(labels, expected)
    assert predictions.scores("é") is None


def damaged(path, change):
    records = json.loads(path.read_text())
    change(records)
    path.write_text(json.dumps(records))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r[0].update(segmentation=forms.packed(np.ones((4, 5)))), "size"),
        (lambda r: r[9]["segmentation"].update(counts="damaged~~"), "mask 3: packed RLE"),
        (lambda r: r[9]["segmentation"].update(counts=[5, 7]), "cover 12 pixels"),
        (lambda r: r[9].pop("segmentation"), "mask 3"),
        (lambda r: r[9].pop("score"), "some of its masks have no 'score'"),
        (lambda r: r[9].update(score=float("nan")), "mask 3: score is nan.*finite"),
        (lambda r: r[9].update(score="high"), "score is 'high'.*finite"),
        (lambda r: r[9].update(score=True), "score is True.*finite"),
        (lambda r: r[9].update(iscrowd="no"), "mask 3: iscrowd is 'no'"),
        (lambda r: r[9].update(iscrowd=2), "mask 3: iscrowd is 2"),
        (lambda r: r[0].update(image_id=139.5), "record 0.image_id is 139.5"),
        (lambda r: r[0].update(image_id=True), "record 0.image_id is True"),
        (lambda r: r[0].pop("image_id"), "record 0 has no image_id"),
        (lambda r: r[0].update(image_id=[1]), r"record 0.image_id is \[1\]"),
        (lambda r: [each.pop("segmentation") for each in r], "holds boxes"),
        (lambda r: r[0].update(segmentation=[[0, 0, 1, 1, 2, 2]]), "has no size"),
        (lambda r: r.clear(), "no predictions"),
        (lambda r: r.insert(2, 7), "record 2 has no image_id"),
    ],
)
def test_errors_are_one_line(written, change, words):
    path, _, _ = written
    damaged(path, change)
    with pytest.raises(InputError, match=words) as error:
        open_predictions(path, "coco_results").maps("139")
    assert "\n" not in str(error.value) and str(path) in str(error.value)


@pytest.mark.parametrize(
    "text", ["", "[", "[{]", '[{"image_id": 1}', "nothing", "[1] 2", "[" * 9**5]
)
def test_broken_json(tmp_path, text):
    path = tmp_path / "results.json"
    path.write_text(text)
    for kind in ("coco_results", None):
        with pytest.raises(InputError, match=r"not a whole JSON|too deeply|has no|known") as error:
            open_predictions(path, kind)
        assert "\n" not in str(error.value)


def test_another_size_than_the_image(written):
    path, _, _ = written
    with pytest.raises(InputError, match="139 is 31x24, its picture is 62x48"):
        open_predictions(path).maps("139", (48, 62))


def test_ids_that_are_not_listed(written, tmp_path):
    path, listed, _ = written
    damaged(listed, lambda r: r["images"].pop(0))
    with pytest.raises(InputError, match=r"139 is not among the 3 images that .*val.json lists"):
        open_predictions(path, images=listed)
    with pytest.raises(InputError, match="no list 'images'"):
        open_predictions(path, images=path)


def test_a_file_that_changed(written):
    path, _, _ = written
    predictions = open_predictions(path)
    path.write_text(path.read_text()[100:])
    with pytest.raises(InputError, match="has gone or changed"):
        predictions.maps("139")


@pytest.mark.parametrize("form", [str, float, "{:012d}".format])
@pytest.mark.parametrize("with_list", [False, True])
def test_numbers_and_flags_in_other_forms(written, form, with_list):
    path, listed, truth = written

    def reworded(records):
        for record in records:
            record |= {"image_id": form(record["image_id"]), "score": str(record["score"])}
            record |= {"iscrowd": "0"}
            record["segmentation"]["size"] = [
                float(side) for side in record["segmentation"]["size"]
            ]

    def reworded_list(value):
        for image in value["images"]:
            image |= {"height": str(image["height"]), "width": float(image["width"])}

    damaged(path, reworded)
    damaged(listed, reworded_list)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    like = [f"{image_id:012d}.jpg" for image_id in truth]
    predictions = open_predictions(path, like=like, images=listed if with_list else None)
    assert len(predictions) == 3 + with_list
    for name, (masks, scores) in zip(like, truth.values(), strict=True):
        expected = masks_to_partition.partition(masks, scores)
        np.testing.assert_array_equal(predictions.maps(name)[0], expected.labels)
        np.testing.assert_array_equal(predictions.scores(name), expected.scores)


@pytest.mark.parametrize("side", [-1, 0, 24.5, True, "wide"])
def test_sizes_that_are_none_are_refused_by_value(written, side):
    path, listed, _ = written
    damaged(listed, lambda value: value["images"][1].update(height=side))
    with pytest.raises(InputError, match=f"image 285: height is {side!r}"):
        open_predictions(path, images=listed)


def test_two_ids_of_one_listed_image(written):
    path, listed, _ = written
    damaged(path, lambda records: records[0].update(image_id="000139"))
    with pytest.raises(InputError, match="are both image 139 of"):
        open_predictions(path, images=listed)


def test_names_as_windows_writes_them(written):
    path, listed, _ = written
    damaged(listed, lambda value: value["images"][0].update(file_name="val\\000000000139.jpg"))
    names = open_predictions(path, images=listed, like=["000000000139"]).names
    assert names[0] == "000000000139"
