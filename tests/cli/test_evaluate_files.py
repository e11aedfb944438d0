import csv
import json

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import adjusted_rand_score

from bitdiff_jax.cli import main as cli
from bitdiff_jax.data import images
from bitdiff_jax.evaluation.protocols import PAPER
from tests.evaluation.stubs import make_source

COUNT = 5


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    root = tmp_path_factory.mktemp("truth")
    for name in ("images", "labels"):
        (root / name).mkdir()
    for item in make_source(COUNT):
        Image.fromarray(item["image"]).save(root / "images" / f"{item['name']}.png")
        for k, labels in enumerate(item["labels"]):
            images.write_labels(root / "labels" / f"{item['name']}_{k}.png", labels + 1)
    return root


def write_predictions(root, *, noise, samples=2, skip=()):
    """The first person's map with some pixels at random."""
    rng = np.random.default_rng(7)
    root.mkdir()
    for i, item in enumerate(make_source(COUNT)):
        for k in range(samples):
            ids = item["labels"][0].copy()
            wrong = rng.random(ids.shape) < noise
            ids[wrong] = rng.integers(0, 9, wrong.sum())
            if i not in skip:
                images.write_labels(root / f"{item['name']}_{k}.png", ids)
    return root


@pytest.fixture(scope="module")
def predictions(tmp_path_factory):
    return write_predictions(tmp_path_factory.mktemp("tool") / "a", noise=0.2, skip=[3])


def _run(*argv):
    return cli.main(["evaluate", *map(str, argv)])


def test_table_files_and_what_is_missing(truth, predictions, tmp_path, capsys):
    out = tmp_path / "out"
    images.write_labels(predictions / "stranger.png", np.zeros((4, 4), int))
    assert _run(predictions, truth, f"--out={out}", "--score_size=24,0", "--html") == 1
    printed = capsys.readouterr()
    assert "4 of 4 images scored; of each 2 sample(s), 2 annotator(s)" in printed.out
    assert "no prediction: picture003" in printed.err and "no ground truth: str" in printed.err
    assert "\nnative" in printed.out and "\n24 (24 px)" in printed.out

    written = json.loads((out / "metrics.json").read_text())
    assert written["missing"]["without_prediction"] == ["picture003"]
    assert set(written["views"]) == {"24", "native"}
    with (out / "per_image.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["name"] for row in table] == [f"picture{i:03d}" for i in (0, 1, 2, 4)]
    want = []
    for i, item in enumerate(make_source(COUNT)):
        if i != 3:
            drawn = [images.read_labels(predictions / f"{item['name']}_{k}.png") for k in (0, 1)]
            want.append([[adjusted_rand_score(t.ravel(), d.ravel()) for t in item["labels"]]
                         for d in drawn])  # fmt: skip
    got = [float(row["ari@native"]) for row in table]
    np.testing.assert_allclose(got, np.mean(want, axis=(1, 2)), atol=1e-7)
    got = [float(row["ari_best_per_person@native"]) for row in table]
    np.testing.assert_allclose(got, np.max(want, axis=1).mean(axis=1), atol=1e-7)
    mean = written["views"]["native"]["ari"]["mean"]
    assert mean == pytest.approx(np.mean(want)) and f"{mean:.4f}" in printed.out
    assert "picture003\tno prediction" in (out / "missing.txt").read_text()

    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 3 and "<svg" in page
    # Self-contained: nothing is fetched.
    assert "http://" not in page.replace("http://www.w3.org", "") and 'src="/' not in page

    before = (out / "rows.jsonl").read_bytes()
    assert _run(predictions, truth, f"--out={out}", "--score_size=24,0") == 1
    assert (out / "rows.jsonl").read_bytes() == before
    capsys.readouterr()
    assert _run(predictions, truth, f"--out={out}", "--score_size=0") == 2
    assert "another evaluation (it differs in views)" in capsys.readouterr().err


def test_the_papers_protocol_stands_beside_the_honest_one(truth, tmp_path, capsys):
    tool = write_predictions(tmp_path / "b", noise=0.1, samples=1)
    out = tmp_path / "out"
    assert _run(tool, truth, "--protocol=paper", f"--out={out}") == 0
    printed = capsys.readouterr().out
    assert "paper (128 px)" in printed and "difference" in printed
    written = json.loads((out / "metrics.json").read_text())
    assert set(written["views"]) == {"paper", "honest"}
    assert written["about" if "about" in written else "protocol"] == "paper"
    assert written["views"][PAPER.name]["ari"]["num_images"] == COUNT


def test_errors_are_one_line(truth, predictions, tmp_path, capsys):
    def error(*argv):
        assert _run(*argv) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1 and lines[0].startswith("bitdiff evaluate: error: ")
        return lines[0]

    assert "no_such" in error(tmp_path / "no_such", truth)
    assert "no_such" in error(predictions, tmp_path / "no_such")
    assert "whole numbers" in error(predictions, truth, "--score_size=x")
    assert "kind=" in error(predictions, truth, "--kind=thing")
    other = tmp_path / "other"
    other.mkdir()
    images.write_labels(other / "nobody.png", np.ones((4, 4), int))
    assert "name them alike" in error(other, truth)
    images.write_labels(other / "picture000.png", np.ones((4, 9), int))
    assert "proportions" in error(other, truth)
