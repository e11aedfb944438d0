import csv
import json

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.cli import compare
from bitdiff_jax.cli import main as cli
from bitdiff_jax.data import images
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import comparison
from tests.evaluation.stubs import make_source

COUNT = 8


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Three tools: two alike, one much worse; maps of people without their pictures."""
    root = tmp_path_factory.mktemp("compare")
    rng = np.random.default_rng(0)
    for name in ("people", "pictures", "mine", "twin", "worse"):
        (root / name).mkdir()
    for i, item in enumerate(make_source(COUNT)):
        name = item["name"]
        Image.fromarray(item["image"]).save(root / "pictures" / f"{name}.png")
        for k, labels in enumerate(item["labels"]):
            images.write_labels(root / "people" / f"{name}_{k}.png", labels + 1)
        for tool, noise in {"mine": 0.15, "twin": 0.15, "worse": 0.6}.items():
            ids = item["labels"][0].copy()
            wrong = rng.random(ids.shape) < noise
            ids[wrong] = rng.integers(0, 9, wrong.sum())
            if (tool, i) != ("worse", 2):
                images.write_labels(root / tool / f"{name}.png", ids)
    return root


@pytest.mark.slow
def test_three_tools_side_by_side(root, tmp_path, capsys):
    out = tmp_path / "out"
    tools = [f"best={root / 'mine'}", str(root / "twin"), str(root / "worse")]
    options = [f"--ground-truth={root / 'people'}", f"--images={root / 'pictures'}"]
    argv = ["compare", *tools, *options, "--score_size=0", f"--out={out}", "--sheet=3"]
    assert cli.main(argv) == 1
    printed = capsys.readouterr()
    assert "7 pictures that all of best, twin, worse have, of 8" in printed.out
    assert "worse:" in printed.err and "no prediction: picture002" in printed.err
    written = json.loads((out / "comparison.json").read_text())
    ari = written["views"]["native"]["ari"]
    verdicts = {(d["first"], d["second"]): d["verdict"] for d in ari["differences"]}
    assert verdicts == {
        ("best", "twin"): "undecided",
        ("best", "worse"): "best",
        ("twin", "worse"): "twin",
    }
    assert "best - twin\n" in printed.out and "  undecided\n" in printed.out
    assert max(map(len, printed.out.split("\nwritten")[0].splitlines())) <= 100
    means = {tool: each["mean"] for tool, each in ari["systems"].items()}
    first = ari["differences"][0]
    assert first["difference"] == pytest.approx(means["best"] - means["twin"])
    assert first["num_images"] == 7
    sheet = np.asarray(Image.open(out / "comparison.png"))
    assert sheet.shape[1:] == (8 + 5 * 208, 3)
    assert (out / "rows_best.jsonl").is_file()
    lines = (out / "per_image.csv").read_text().splitlines()
    assert len(lines) == 1 + 3 * 7 and lines[0].startswith("system,name,")
    with (out / "comparison.csv").open() as file:
        tests = {(t["figure"], t["first"], t["second"]): t for t in csv.DictReader(file)}
    assert tests["ari", "best", "worse"]["verdict"] == "best"
    assert float(tests["ari", "best", "twin"]["difference"]) == pytest.approx(first["difference"])
    assert (out / "missing.txt").read_text() == "worse\tpicture002\tno prediction\n"
    pooled = written["views"]["native"]["pq_pooled"]["systems"]
    assert pooled["best"]["mean"] > pooled["worse"]["mean"]


def test_a_tool_against_itself(root, tmp_path, capsys):
    """Nothing but equal values: tests do not decide, and nothing is divided by 0."""
    argv = [f"a={root / 'mine'}", f"b={root / 'mine'}", f"--ground-truth={root / 'people'}"]
    assert cli.main(["compare", *argv, "--score_size=0", "--fast", f"--out={tmp_path}"]) == 0
    views = json.loads((tmp_path / "comparison.json").read_text())["views"]
    found = [d for each in views["native"].values() for d in each.get("differences", ())]
    assert found and {d["verdict"] for d in found} == {"undecided"}
    assert not (tmp_path / "missing.txt").exists()


def test_long_names_are_cut_in_the_middle():
    assert comparison.cut("abcdefghij", 10) == "abcdefghij"
    assert comparison.cut("abcdefghijk", 8) == "abc..ijk"


def test_tools_get_names():
    assert compare.named(["a/x", "b/y"]) == {"x": "a/x", "y": "b/y"}
    assert compare.named(["a/x", "b/x"]) == {"a_x": "a/x", "b_x": "b/x"}
    assert compare.named(["me=a/x", "b/x"]) == {"me": "a/x", "x": "b/x"}
    with pytest.raises(InputError, match="nothing to compare"):
        compare.named(["a"])
    with pytest.raises(InputError, match="two tools"):
        compare.named(["a/x", "a/x"])
    with pytest.raises(InputError, match="tools 'p;q' and 'p,q' would have files of one name"):
        compare.named(["a/p;q", "a/p,q"])


def test_errors_are_one_line(root, capsys):
    truth = f"--ground-truth={root / 'people'}"
    assert cli.main(["compare", str(root / "mine"), truth]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert cli.main(["compare", str(root / "mine"), str(root / "no"), truth]) == 2
    err = capsys.readouterr().err
    assert err.startswith("bitdiff compare: error: ") and err.count("\n") == 1


def test_one_image_has_no_interval(root, tmp_path, capsys):
    out = tmp_path / "out"
    options = [f"--ground-truth={root / 'people'}", "--score_size=0", "--num_images=1"]
    argv = ["compare", str(root / "mine"), str(root / "worse"), *options, f"--out={out}"]
    assert cli.main(argv) in (0, 1)
    printed = capsys.readouterr().out
    assert "one image: no interval" in printed and "[" not in printed.split("written")[0]
    ari = json.loads((out / "comparison.json").read_text())["views"]["native"]["ari"]
    assert {each["low"] for each in ari["systems"].values()} == {None}
    argv = ["evaluate", str(root / "mine"), str(root / "people"), *options[1:], "--html"]
    assert cli.main([*argv, f"--out={out}"]) in (0, 1)
    printed = capsys.readouterr().out
    assert "one image: no interval" in printed and "[" not in printed.split("written")[0]
    assert "nan" not in (out / "report.html").read_text().lower()
