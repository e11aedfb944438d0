"""How `bitdiff evaluate` and `compare` understand names and paths, and what they warn of."""

import json
import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.cli import compare
from bitdiff_jax.cli import main as cli
from bitdiff_jax.data import images
from tests.evaluation.predictions import forms
from tests.evaluation.stubs import blocks

NATIVE = ("--score_size=0", "--fast")


def maps(count=10, seed=0, shape=(20, 24)):
    rng = np.random.default_rng(seed)
    return [blocks(rng, *shape) + 1 for _ in range(count)]


def write(folder, labels, name="img_{}", save=images.write_labels, ending="png"):
    folder.mkdir(parents=True, exist_ok=True)
    for k, ids in enumerate(labels):
        save(folder / f"{name.format(k)}.{ending}", ids)
    return folder


def evaluated(out, *argv):
    assert cli.main(["evaluate", *map(str, argv), *NATIVE, f"--out={out}"]) == 0
    return json.loads((out / "metrics.json").read_text())


def refused(capsys, *argv):
    assert cli.main([*map(str, argv), *NATIVE]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("command", ["evaluate", "compare"])
def test_ten_images_or_ten_maps_of_one(tmp_path, capsys, command):
    pred, truth = (write(tmp_path / name, maps()) for name in ("pred", "truth"))
    argv = [command, pred, truth]
    if command == "compare":
        argv = [command, f"a={pred}", f"b={pred}", f"--ground-truth={truth}"]
    line = refused(capsys, *argv)
    assert "img_0 to img_9 may be 10 images, or 10 maps of one image 'img'" in line
    assert "--names" in line
    for names, count, samples in (("whole", 10, "1"), ("sample_suffix", 1, "10")):
        out = tmp_path / names
        options = [f"--names={names}", *NATIVE, f"--out={out}"]
        assert cli.main([*map(str, argv), *options]) == 0
        file = "metrics.json" if command == "evaluate" else "comparison.json"
        written = json.loads((out / file).read_text())
        assert written["num_images"] == count
        lines = (out / "per_image.csv").read_text().splitlines()
        row = dict(zip(lines[0].split(","), lines[1].split(","), strict=True))
        assert row["num_samples"] == row["num_people"] == samples
        if names == "whole":
            assert float(row["ari@native"]) == 1


def test_what_is_known_tells_them_apart(tmp_path):
    """Images that --images names, names of the other side, sizes of the files."""
    labels = maps()
    photos = [np.zeros((20, 24, 3), np.uint8)] * 10
    save = lambda path, image: Image.fromarray(image).save(path)  # noqa: E731
    write(tmp_path / "images", photos, save=save, ending="jpg")
    pred, truth = (write(tmp_path / name, labels) for name in ("pred", "truth"))
    found = evaluated(tmp_path / "a", pred, truth, f"--images={tmp_path / 'images'}")
    assert found["num_images"] == 10 and found["views"]["native"]["ari"]["mean"] == 1
    # Ten annotators of one image, and one prediction of it.
    single = write(tmp_path / "single", labels[:1], name="img")
    assert evaluated(tmp_path / "b", single, truth)["num_images"] == 1
    several = write(tmp_path / "several", [*labels[:9], maps(1, shape=(30, 20))[0]])
    assert evaluated(tmp_path / "c", several, several)["num_images"] == 10


def test_names_that_are_no_utf_8_and_accents_in_two_forms(tmp_path, capsys):
    names = [os.fsdecode(b"caf\xe9"), "caf\u00e9 noir"]
    pred, truth = tmp_path / os.fsdecode(b"pr\xe9d"), tmp_path / "truth"
    for name, ids in zip(names, maps(2), strict=True):
        write(truth, [ids], name=name)
        write(pred, [ids], name=unicodedata.normalize("NFD", name))
    out = tmp_path / os.fsdecode(b"out\xe9")
    found = evaluated(out, pred, truth, "--html")
    assert found["num_images"] == 2 and found["predictions"].endswith(r"pr\xe9d")
    assert r"caf\xe9" in (out / "per_image.csv").read_text("utf-8")
    # What is missing and what cannot be read is told and written as well.
    (pred / f"{names[0]}.png").write_bytes(b"x")
    (truth / os.fsdecode(b"n\xe9w.png")).write_bytes((truth / f"{names[0]}.png").read_bytes())
    for command in (
        ["evaluate", pred, truth],
        ["compare", pred, f"x={pred}", "--ground-truth", truth],
    ):
        other = tmp_path / os.fsdecode(b"\xe9" + command[0].encode())
        assert cli.main([*map(str, command), *NATIVE, f"--out={other}"]) == 1
        missing = (other / "missing.txt").read_text("utf-8")
        assert r"n\xe9w" in missing and "not an image file" in missing
        assert "not an image file" in capsys.readouterr().err


def test_a_home_and_folders_with_signs(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    labels = maps(2)
    for folder in ("a=b", "c=d", "png:x", "truth"):
        write(tmp_path / folder, labels, name="{}")
    write(tmp_path / "set/labels", labels, name="{}")
    assert compare.named(["a=b", "x=c=d"]) == {"a=b": "a=b", "x": "c=d"}
    assert compare.named(["m=~/a=b", "~/c=d"]) == {
        "m": f"{tmp_path}/a=b",
        "c=d": f"{tmp_path}/c=d",
    }
    assert compare.named(["b=a=b", "no=where"]) == {"b": "a=b", "no": "where"}
    (tmp_path / "truth").rename(tmp_path / "truth, new")
    quoted = ['png:"truth, new"', "png:~/set/labels,images=~/a=b"]
    (tmp_path / "truth").symlink_to(tmp_path / "truth, new")
    for k, truth in enumerate(("~/truth", "png:x", "folder:~/set,zero=ignore", *quoted)):
        assert evaluated(tmp_path / f"out{k}", "~/a=b", truth)["num_images"] == 2
    argv = ["a=b", "c=d", "--ground-truth=~/truth", "--out=~/compared", "--images=~/a=b"]
    assert cli.main(["compare", *argv, *NATIVE]) == 0
    assert json.loads((tmp_path / "compared/comparison.json").read_text())["systems"].keys() == {
        "a=b",
        "c=d",
    }


def test_a_truth_of_which_much_is_ignored(tmp_path, capsys):
    """A grid scores well on nuclei whose background is ignored."""
    nuclei = np.zeros((40, 40), int)
    for k, (y, x) in enumerate([(3, 3), (13, 23), (23, 13), (33, 33)]):
        nuclei[y : y + 5, x : x + 5] = k + 1
    grid = np.arange(40) // 10
    write(tmp_path / "truth", [nuclei], name="a")
    write(tmp_path / "pred", [grid[:, None] * 4 + grid], name="a")
    aris = {}
    for zero in ("ignore", "region"):
        out = tmp_path / zero
        found = evaluated(out, tmp_path / "pred", tmp_path / "truth", f"--zero={zero}", "--html")
        aris[zero] = found["views"]["native"]["ari"]["mean"]
        err, page = capsys.readouterr().err, (out / "report.html").read_text()
        lines = [line for line in err.splitlines() if line.startswith("careful: ")]
        if zero == "ignore":
            assert len(lines) == 1 and "94% of the ground truth" in lines[0]
            assert "--zero=background" in lines[0]
            assert found["caution"] in lines[0] and "94% of the ground truth" in page
        else:
            assert not lines and found["caution"] is None and "careful" not in page
    assert aris["ignore"] > 0.5 > aris["region"]
    tools = [f"{name}={tmp_path / 'pred'}" for name in "ab"]
    argv = ["compare", *tools, f"--ground-truth={tmp_path / 'truth'}", "--zero=ignore"]
    assert cli.main([*argv, *NATIVE, f"--out={tmp_path / 'compared'}"]) == 0
    assert "careful: 94%" in capsys.readouterr().err
    written = json.loads((tmp_path / "compared/comparison.json").read_text())
    assert "94%" in written["caution"]


def test_ids_of_coco_need_a_list_of_images(tmp_path, capsys):
    masks, scores = forms.masks(1)
    records = [forms.result(139, mask, score) for mask, score in zip(masks, scores, strict=True)]
    path = forms.write_json(tmp_path / "results.json", records)
    listed = forms.write_json(
        tmp_path / "list.json", {"images": [{"id": 139, "file_name": "street.jpg"}]}
    )
    truth = write(tmp_path / "truth", maps(1, shape=(forms.H, forms.W)), name="street")
    other = write(tmp_path / "other", maps(1, shape=(forms.H, forms.W)), name="street")
    tools = [f"mine={path}", f"maps={other}", f"--ground-truth={truth}"]
    line = refused(capsys, "compare", *tools)
    assert "COCO results (mine)" in line and "--image_list FILE" in line and "'139'" in line
    assert cli.main(["compare", *tools, *NATIVE, f"--image_list={listed}"]) == 0
    assert "--image_list FILE" in refused(capsys, "evaluate", path, truth)
    assert cli.main(["evaluate", str(path), str(truth), *NATIVE, f"--image_list={listed}"]) == 0
    capsys.readouterr()
    tools = [f"a={other}", f"b={other}", f"--ground-truth={truth}"]
    assert "no tool's predictions are COCO results" in refused(
        capsys, "compare", *tools, f"--image_list={listed}"
    )
