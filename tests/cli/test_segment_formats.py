"""`bitdiff segment --formats` with the formats of other tools, and their files of all images."""

import json
import shutil
import sys
import types

import numpy as np
import pytest

from bitdiff_jax.cli import options, segment
from bitdiff_jax.data import images
from bitdiff_jax.inference import formats
from tests.cli.segment_files import error_line, files, save
from tests.inference import tiny

SHARED = ("coco_panoptic", "coco_instances", "fiftyone")
COCO = "--formats=coco_panoptic,coco_instances,fiftyone,id_png"


@pytest.fixture
def pictures(tmp_path):
    return [
        save(tmp_path / f"{name}.png", tiny.image(20, 24, seed=i)) for i, name in enumerate("abc")
    ]


def told(out):
    """The images that each file of all images tells of."""
    found = {}
    for name in SHARED[:2]:
        if (path := out / f"{name}.json").exists():
            content = json.loads(path.read_text())
            names = {each["id"]: each["name"] for each in content["images"]}
            assert {each["image_id"] for each in content["annotations"]} == set(names)
            found[name] = sorted(names.values())
    if "coco_panoptic" in found:
        assert files(out / "coco_panoptic") == [f"{each}.png" for each in found["coco_panoptic"]]
    if (out / "fiftyone").exists():
        # The list names the masks.
        listed = sorted(json.loads((out / "fiftyone" / "data.json").read_text()))
        assert files(out / "fiftyone" / "labels") == listed
        found["fiftyone"] = [each.removesuffix(".png") for each in listed]
    return found


def everywhere(*names):
    return {each: list(names) for each in SHARED}


def test_the_names_of_the_files_are_in_them(run, pictures, tmp_path):
    out = tmp_path / "out"
    assert run(*pictures, COCO + ",labelme") == 0
    assert told(out) == everywhere("a", "b", "c")
    content = json.loads((out / "coco_instances.json").read_text())
    assert [each["file_name"] for each in content["images"]] == ["a.png", "b.png", "c.png"]
    assert json.loads((out / "fiftyone" / "data.json").read_text())["b.png"] == str(pictures[1])
    assert json.loads((out / "c_labelme.json").read_text())["imagePath"] == "../c.png"


def test_the_outlines_have_the_tolerance_that_is_asked_for(run, pictures, tmp_path):
    out = tmp_path / "out"
    assert run(pictures[0], "--formats=geojson,id_png", "--outline_tolerance=0") == 0
    labels = images.read_labels(out / "a_labels.png")
    found = json.loads((out / "a_regions.geojson").read_text())["features"]
    for region, feature in enumerate(found, 1):
        shape = feature["geometry"]["coordinates"]
        polygons = [shape] if feature["geometry"]["type"] == "Polygon" else shape
        rings = [np.array(ring) for polygon in polygons for ring in polygon]
        sides = np.concatenate([np.diff(ring, axis=0) for ring in rings])
        assert (sides == 0).any(axis=1).all()  # along the edges of pixels
        # Each pixel's edge between the region and another one is on an outline, once.
        inside = np.pad(labels == region, 1)
        edges = (inside[1:] != inside[:-1]).sum() + (inside[:, 1:] != inside[:, :-1]).sum()
        assert np.abs(sides).sum() == edges


def test_a_second_command_replaces_what_it_draws(run, pictures, tmp_path):
    out = tmp_path / "out"
    assert run(*pictures, COCO) == 0
    pictures[1].write_text("not a picture any more")
    before = json.loads((out / "coco_instances.json").read_text())["annotations"]
    assert run(*pictures, COCO, "--seed=1") == 1
    assert told(out) == everywhere("a", "b", "c")
    after = json.loads((out / "coco_instances.json").read_text())["annotations"]
    kept = [each for each in before if each in after]
    assert kept and {each["image_id"] for each in kept} == {2}
    # In other formats, nothing of the old maps is left.
    assert run(*pictures, "--formats=id_png") == 1
    assert told(out) == everywhere("b")


def test_a_killed_command_is_cleared_up(run, pictures, tmp_path, monkeypatch):
    left = tmp_path / "left"
    module = types.ModuleType("own_act")

    def write(segmentation, folder, name):
        if name == "b":
            shutil.copytree(folder, left)  # what kill -9 leaves

    module.write = write
    monkeypatch.setitem(sys.modules, "own_act", module)
    assert run(*pictures, f"{COCO},own_act:write") == 0
    (left / ".coco_panoptic.json.123.tmp").write_text("a quarter")
    assert told(left) == everywhere("a", "b")
    monkeypatch.setattr(module, "write", lambda *_: None)
    pictures[1].write_text("not a picture any more")
    assert run(*pictures, f"{COCO},own_act:write", out=left) == 1
    assert told(left) == everywhere("a", "c")
    assert not (left / ".coco_panoptic.json.123.tmp").exists()


def test_an_image_that_fails_leaves_nothing(run, pictures, tmp_path, monkeypatch, capsys):
    module = types.ModuleType("own_act")

    def write(segmentation, folder, name):
        if name == "b":
            raise KeyError("thing")

    module.write = write
    monkeypatch.setitem(sys.modules, "own_act", module)
    assert run(*pictures, f"{COCO},own_act:write") == 2
    error_line(capsys, "own_act:write failed on 'b'")
    assert told(tmp_path / "out") == everywhere("a")
    assert run(pictures[1], f"{COCO},own_act:write", out=tmp_path / "new") == 2
    assert not (tmp_path / "new").exists()


def test_a_file_of_others_is_not_lost(run, pictures, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "coco_instances.json").write_text("{}")
    assert run(*pictures, COCO) == 2
    error_line(capsys, "coco_instances.json", "name another folder")
    assert (out / "coco_instances.json").read_text() == "{}"


def test_what_cannot_be_written_is_refused_before_a_model_is_loaded(
    run, pictures, capsys, monkeypatch
):
    monkeypatch.setattr(options, "load_weights", lambda *_: pytest.fail("loaded"))
    monkeypatch.setitem(sys.modules, "roifile", None)
    for option, says in (
        ("--formats=imagej", "imagej needs roifile: pip install 'bitdiff_jax[roifile]'"),
        ("--formats=id_png,labelmee", "did you mean labelme?"),
        ("--outline_tolerance=-1", "--outline_tolerance is -1.0"),
    ):
        assert run(*pictures, option) == 2
        error_line(capsys, says)


def test_help_names_every_format():
    text = " ".join(segment._parser().format_help().split())
    line = text[text.index("what is written of each picture") :].split("--outline")[0]
    assert all(name in line for name in formats.FORMATS)
