"""The page follows from its rows: from small stored ones, and docs/ledger.md from its own."""

import pathlib
import shutil

import numpy as np
import pytest

from bitdiff_jax.cli import main as cli
from bitdiff_jax.errors import InputError
from bitdiff_jax.repro import ledger, page, rows, runner
from bitdiff_jax.repro.arms import Evaluation
from bitdiff_jax.repro.catalogue import CLAIMS
from bitdiff_jax.repro.ledger import Record

STORED = pathlib.Path(__file__).parent / "stored"
DOCS = pathlib.Path(__file__).parents[2] / "docs"
SHOWN = ("one_call", "table2", "fig2", "fig6", "ema")
# Anew after a change of the page:
#     python -c "from tests.repro import test_page as t; t.plant(); t.store()"


def stored_page():
    return page.text([CLAIMS[name] for name in SHOWN], ledger.read(STORED / "rows"))


def store():
    (STORED / "page.md").write_text(stored_page())


def test_the_page_follows_from_stored_rows():
    assert stored_page() == (STORED / "page.md").read_text()


def test_what_the_stored_page_says():
    """The rows were planted: diffusion is .2 better than one call, averages are like last ones."""
    text = (STORED / "page.md").read_text()
    assert "| [One call, no diffusion](#one-call-no-diffusion) | holds | 2 |" in text
    assert "| [Averaged or last parameters](#averaged-or-last-parameters) | undecided | 2 |" in text
    assert "**not testable at this size**: it needs a model trained" in text
    assert "| t | b = 1 | b = 0.1 |" in text
    assert "+.200" in text


def test_the_docs_follow_from_their_rows(tmp_path):
    shutil.copytree(DOCS / "ledger", tmp_path / "ledger")
    for path in (tmp_path / "ledger").glob("*.svg"):
        path.unlink()
    assert cli.main(["repro", "page", f"--to={tmp_path / 'ledger.md'}"]) == 0
    assert (tmp_path / "ledger.md").read_text() == (DOCS / "ledger.md").read_text()
    for path in (DOCS / "ledger").iterdir():
        assert (tmp_path / "ledger" / path.name).read_bytes() == path.read_bytes(), path.name


def test_rows_in_the_repository_are_small():
    assert sum(path.stat().st_size for path in (DOCS / "ledger").iterdir()) < 1_000_000


def raw(out, evaluation, seed, values, num_images=None):
    """Rows as `runner` writes them."""
    training, name = evaluation.split("/")
    folder = out / training / f"seed_{seed}" / name
    folder.mkdir(parents=True)
    count = len(values) if num_images is None else num_images
    runner._write(folder / runner.ABOUT, {"num_images": count})
    names = [f"scene-{i}" for i in range(len(values))]
    # In another order than that of the scenes, as a run that went on may leave them.
    plain = {"regions": 9.0, "orphans": 0.0, "seconds": 0.1}
    found = [
        {"image": n, "ari": v, "iou": v / 2, "pq": v, **plain}
        for n, v in zip(names, values, strict=True)
    ]
    rows.append(folder / rows.FILE, reversed(found))


def test_rows_are_gathered_and_rounded(tmp_path):
    raw(tmp_path, "base/drawn", 1, [0.12345, float("nan"), -0.0567])
    raw(tmp_path, "base/drawn", 0, [0.5, 0.25, 0.125])
    raw(tmp_path, "base/raw", 0, [0.5, 0.25], num_images=3)  # not finished
    found = ledger.gather([CLAIMS["ema"]], tmp_path)
    assert [(r.evaluation, r.seed) for r in found] == [("base/drawn", 0), ("base/drawn", 1)]
    assert found[1].scenes["ari"] == [123, None, -57] and found[0].means["pq"] == 0.2917
    assert found[0].num_scenes == 3 and found[0].num_parameters is None
    folder = tmp_path / "kept"
    ledger.write(found, folder)
    assert ledger.read(folder) == found
    assert ledger.values(found)["base/drawn", "ari"][1] == {"0": 0.123, "2": -0.057}


def record(evaluation, seed, ari, **other):
    return Record(evaluation, seed, {"ari": ari}, {}, {"train": 1, "draw": 1}, **other)


def test_rows_of_other_runs_stay_in_a_ledger(tmp_path):
    first = [record("base/drawn", 0, [1, 2]), record("base/raw", 0, [3, 4])]
    ledger.write(first, tmp_path)
    again, other = record("base/raw", 0, [5, 6]), record("base/drawn", 1, [7, 8])
    ledger.write([again, other, record("pix2seq/td0", 0, [9, 9])], tmp_path)
    assert ledger.read(tmp_path) == [first[0], other, again, record("pix2seq/td0", 0, [9, 9])]


def test_known_are_rows_of_all_scenes_and_failures():
    few, all_, gone = Evaluation("base"), Evaluation("base", "raw", num_images=2), Evaluation("v")
    there = [
        record("base/drawn", 0, [1, 2]), record("base/raw", 1, [3, 4]),
        record("v/drawn", 0, [], failed="nan"), record("base/other", 0, [1] * 300),
    ]  # fmt: skip
    assert ledger.known(there, [few, all_, gone]) == {("base/raw", 1), ("v/drawn", 0)}


def test_a_training_that_failed_is_told(tmp_path):
    raw(tmp_path, "base/drawn", 0, [0.5, 0.25])
    folder = tmp_path / "one_call" / "seed_0" / "train"
    folder.mkdir(parents=True)
    error = "the loss became nan within steps 3 to 4; lower the rate"
    runner._write(folder / runner.FAILED, {"error": error})
    claim = CLAIMS["one_call"]
    found = ledger.gather([claim], tmp_path)
    assert [record.failed for record in found] == ["", error.partition(";")[0]]
    text = page.text([claim], found)
    assert "| one call | 1 | the loss became nan within steps 3 to 4 |" in text
    assert "**undecided**" in text


def test_other_files_are_named(tmp_path):
    (tmp_path / "strange.jsonl").write_text('{"evaluation": 3}\n')
    with pytest.raises(InputError, match=r"strange\.jsonl"):
        ledger.read(tmp_path)


def test_hours_count_a_training_once():
    record = Record("base/drawn", 0, {}, {}, {"train": 3600.0, "draw": 1800.0})
    other = Record("base/raw", 0, {}, {}, {"train": 3600.0, "draw": 1800.0})
    assert page._hours([record, other]) == "2.0"


def plant():
    """The stored rows, from a seeded generator."""
    rng = np.random.default_rng(0)
    found = []
    for seed in (0, 1):
        scene = rng.uniform(0.4, 0.7, 24)
        same = scene + rng.normal(0, 0.02, 24)
        for evaluation, ari in (
            ("base/drawn", scene + 0.2), ("base/raw", same + 0.2), ("one_call/drawn", scene),
            ("base/votes16", scene + 0.2),
        ):  # fmt: skip
            scenes = {"ari": [*map(int, 1000 * ari)], "iou": [*map(int, 500 * ari)]}
            if evaluation.endswith("16"):
                for name, plus in (("best", 60), ("medoid", 20), ("consensus", 25)):
                    scenes[f"ari_{name}"] = [v + plus for v in scenes["ari"]]
            means = {"pq": 0.3, "regions": 12.5, "orphans": 0.012, "seconds": 0.021}
            seconds = {"train": 500, "draw": 40}
            found.append(Record(evaluation, seed, scenes, means, seconds, 667_768))
    ledger.write(sorted(found, key=lambda r: (r.evaluation, r.seed)), STORED / "rows")
