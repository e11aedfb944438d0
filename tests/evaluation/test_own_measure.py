"""A measure that is not of the package, from the function to every place where it is shown."""

import csv
import json
import sys

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.cli import main as cli
from bitdiff_jax.data import images
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import Scoring, evaluate, image_measures, protocols
from bitdiff_jax.evaluation.report import summary_tables
from bitdiff_jax.inference.request import Request
from bitdiff_jax.metrics import Measure, Metric
from tests.evaluation.stubs import StubModel, make_source

FOUR = Request(batch_size=4)
CODE = """
import numpy as np
from bitdiff_jax.metrics import Measure, Metric


def largest(table):
    return abs(table.sum(axis=1).max() - table.sum(axis=0).max()) / table.sum()


def extent(pred, truth):
    return pred.shape[0], (truth >= 0).mean()


LARGEST = Measure(
    (Metric("largest_error", "error of the largest region", "low", unit="share"),), largest
)
BOTH = [
    Measure(
        (
            Metric("height", "height of the map", None, unit="px"),
            Metric("labelled", "share that is labelled", "high", main=False),
        ),
        extent,
        of="maps",
    )
]
WRONG = 3
"""


def largest_error(pred, truth):
    """An oracle: no contingency table."""
    return abs(np.bincount(pred.ravel()).max() - np.bincount(truth.ravel()).max()) / truth.size


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_measures.py").write_text(CODE)
    for name in ("images", "labels", "a", "b"):
        (tmp_path / name).mkdir()
    for item in make_source(5, annotators=1):
        (labels,) = item["labels"]
        Image.fromarray(item["image"]).save(tmp_path / "images" / f"{item['name']}.png")
        images.write_labels(tmp_path / "labels" / f"{item['name']}.png", labels + 1)
        images.write_labels(tmp_path / "a" / f"{item['name']}.png", labels)
        images.write_labels(tmp_path / "b" / f"{item['name']}.png", labels // 3)
    yield tmp_path
    sys.modules.pop("own_measures", None)


def test_through_the_command_line(folder, capsys):
    argv = ["evaluate", "b", str(folder), "--fast", "--score_size=0", "--out=out", "--html"]
    assert cli.main([*argv, "--measures=own_measures:LARGEST,own_measures:BOTH"]) == 0
    printed = capsys.readouterr().out
    want = [
        largest_error(item["labels"][0] // 3, item["labels"][0])
        for item in make_source(5, annotators=1)
    ]
    line = next(each for each in printed.splitlines() if "largest region" in each)
    assert line.startswith("error of the largest region, share") and " lower " in line
    assert f"{np.mean(want):.4f}" in line and "share that is labelled" not in printed
    with open("out/per_image.csv") as file:
        rows = list(csv.DictReader(file))
    np.testing.assert_allclose([float(r["largest_error@native"]) for r in rows], want, atol=1e-7)
    assert {float(row["labelled@native"]) for row in rows} == {1}
    assert "boundary_f@native" not in rows[0]
    written = json.loads((folder / "out" / "metrics.json").read_text())
    assert written["measured"][-3:] == ["largest_error", "height", "labelled"]
    assert written["metrics"]["largest_error"] == {
        "title": "error of the largest region", "better": "low", "unit": "share",
    }  # fmt: skip
    assert written["views"]["native"]["largest_error"]["mean"] == pytest.approx(np.mean(want))
    page = (folder / "out" / "report.html").read_text()
    assert "error of the largest region, share; lower is better" in page
    assert cli.main([*argv, "--measures=own_measures:LARGEST,own_measures:BOTH", "--all"]) == 0
    assert "\nlabelled          higher" in capsys.readouterr().out
    # Rows of other measures are not continued.
    assert cli.main(argv) == 2
    assert "it differs in measured" in capsys.readouterr().err


def test_tools_are_compared_by_it(folder, capsys):
    argv = ["compare", "a", "b", "--ground-truth", str(folder), "--fast", "--score_size=0"]
    assert cli.main([*argv, "--measures=own_measures:LARGEST", "--out=out"]) == 0
    assert "error of the largest region, share" in capsys.readouterr().out
    views = json.loads((folder / "out" / "comparison.json").read_text())["views"]
    (found,) = views["native"]["largest_error"]["differences"]
    assert found["difference"] < 0 and found["verdict"] in ("a", "undecided")


@pytest.mark.parametrize(
    ("measures", "says"),
    [
        ("own_measures:WRONG", "3 is not a bitdiff_jax.metrics.Measure"),
        ("own_measures:NONE", "own_measures has no NONE"),
        ("own_measures", "form package.module:name"),
        ("own_measures:LARGEST,own_measures:LARGEST", "called 'largest_error'"),
    ],
)
def test_errors_are_one_line(folder, capsys, measures, says):
    assert cli.main(["evaluate", "a", str(folder), f"--measures={measures}"]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


def test_as_an_argument_it_stands_beside_the_others_or_alone():
    size = Measure((Metric("size", "number of labelled pixels", "low", unit="px"),), np.sum)
    source = make_source(4, annotators=1)
    found = evaluate(StubModel("truth"), {}, source, request=FOUR, measures=[size])
    assert {"ari", "size"} <= set(found.means())
    alone = Scoring((protocols.NATIVE,), (size,))
    found = evaluate(StubModel("truth"), {}, source, request=FOUR, scoring=alone, num_shown=2)
    want = [item["labels"][0].size for item in source]
    np.testing.assert_array_equal(found.table.column("size@native"), want)
    text = summary_tables.as_text(found.table, found.summary, protocols.NATIVE, (size,))
    assert "number of labelled pixels, px" in text and "adjusted Rand" not in text
    assert found.sheet(cell=40).shape[2] == 3


def test_a_name_that_a_column_has_is_refused():
    for name in ("regions", "ged2_rand", "pq_pooled", "sum_pixels"):
        own = Measure((Metric(name, "mine", "high"),), np.sum)
        with pytest.raises(InputError, match=f"{name} is the name of another metric"):
            image_measures.names((own,))
    clash = Measure((Metric("ari", "a", "high"), Metric("ari_best", "b", "high")), np.shape)
    with pytest.raises(InputError, match="a column ari_best"):
        image_measures.names((clash,))


def test_a_measure_that_fails_costs_its_image_alone():
    def fails(pred, truth):
        return 1 / (pred.shape[0] - 20)

    own = Measure((Metric("mine", "mine", "high"),), fails, of="maps")
    scoring = Scoring((protocols.NATIVE,), (own,))
    found = evaluate(StubModel("truth"), {}, make_source(5), request=FOUR, scoring=scoring)
    assert found.table.errors == dict.fromkeys(
        ("picture001", "picture003"), "measure mine: ZeroDivisionError: division by zero"
    )


def test_workers_want_a_function_of_a_module():
    own = Measure((Metric("mine", "mine", "high"),), lambda table: 1.0)
    scoring = Scoring((protocols.NATIVE,), (own,))
    with pytest.raises(InputError, match=r"workers=1.*top of a module"):
        evaluate(StubModel("truth"), {}, make_source(4), request=FOUR, scoring=scoring, workers=1)
