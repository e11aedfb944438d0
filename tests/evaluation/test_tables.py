import csv
import io
import json

import numpy as np
import pytest

from bitdiff_jax.evaluation import tables
from bitdiff_jax.evaluation.scoring import Row


def _row(name="a", ari=0.5, num_samples=1):
    return Row(name, ari, 0.4, 0.3, 0.6, 0.5, 7.0, 9.5, num_samples, 2)


def test_interval_is_that_of_the_normal_law_for_many_pictures():
    values = np.random.default_rng(0).normal(0.4, 0.2, 400)
    estimate = tables.bootstrap(values)
    half = 1.96 * values.std() / 20
    assert estimate.mean == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_bootstrap_depends_on_the_seed_but_not_on_the_order():
    values = np.random.default_rng(0).random(50)
    assert tables.bootstrap(values) == tables.bootstrap(values[::-1])
    assert tables.bootstrap(values) != tables.bootstrap(values, seed=1)


def test_bootstrap_of_little():
    assert tables.bootstrap(np.asarray([0.3, np.nan])) == (0.3, 0.3, 0.3, 1)
    empty = tables.bootstrap(np.asarray([np.nan]))
    assert empty.num_images == 0
    assert np.isnan(empty[:3]).all()


def test_pictures_without_a_figure_are_out_of_its_mean():
    summary = tables.summarise([_row(ari=0.2), _row(ari=np.nan), _row(ari=0.4)])
    assert summary["ari"].mean == pytest.approx(0.3)
    assert summary["ari"].num_images == 2
    assert summary["iou"].num_images == 3


def test_text_names_the_best_only_if_there_is_a_choice():
    rows = [_row()]
    assert "ari_best" not in tables.as_text(rows, tables.summarise(rows))
    rows = [_row(num_samples=3)]
    text = tables.as_text(rows, tables.summarise(rows))
    assert "ari_best         0.6000   [0.6000, 0.6000]" in text
    assert len({len(line) for line in text.splitlines()}) == 1


def test_json_and_csv_read_back():
    rows = [_row(name='odd, "name"'), _row(ari=np.nan)]
    about = {"step": 5, "settings": {"num_steps": 8}}
    read = json.loads(tables.as_json(tables.summarise(rows), about))
    assert read["step"] == 5
    assert read["figures"]["ari"]["mean"] == 0.5
    assert json.loads(tables.as_json(tables.summarise(rows[1:]), {}))["figures"]["ari"] == {
        "mean": None, "low": None, "high": None, "num_images": 0,
    }  # fmt: skip
    lines = list(csv.DictReader(io.StringIO(tables.as_csv(rows).decode())))
    assert lines[0]["name"] == 'odd, "name"'
    assert float(lines[0]["regions_true"]) == 9.5
    assert lines[1]["ari"] == ""
