import numpy as np
import pytest

from bitdiff_jax.evaluation import evaluate
from tests.evaluation.stubs import SIZE, ListSource, StubModel, make_source


def test_a_perfect_model_scores_one_and_a_blank_one_nothing():
    source = make_source(13, people=1)
    perfect = evaluate(StubModel("truth"), {}, source, batch_size=4, score_size=SIZE)
    assert perfect.means()["ari"] == perfect.means()["iou_penalised"] == 1
    assert perfect.summary["ari"].low == 1
    assert perfect.summary["ari"].num_images == 13
    blank = evaluate(StubModel("blank"), {}, source, batch_size=4, score_size=SIZE)
    assert blank.means()["ari"] == 0
    assert blank.means()["iou"] < 0.2


def test_rows_do_not_depend_on_batches_or_order():
    source = make_source(13)
    options = dict(num_samples=2, score_size=0)
    rows = evaluate(StubModel("noise"), {}, source, batch_size=4, **options).rows
    assert [row.name for row in rows] == [item["name"] for item in source]
    assert rows == evaluate(StubModel("noise"), {}, source, batch_size=1, **options).rows
    backwards = ListSource(source.items[::-1])
    other = evaluate(StubModel("noise"), {}, backwards, batch_size=4, **options)
    assert rows == other.rows[::-1]
    assert other.summary["ari"].mean == pytest.approx(np.mean([row.ari for row in rows]))


def test_shuffled_images_take_away_what_looking_gives():
    source = make_source(13, people=1)
    shuffled = evaluate(StubModel("truth"), {}, source, shuffle_images=True, score_size=0)
    assert [row.name for row in shuffled.rows] == [item["name"] for item in source]
    assert shuffled.means()["ari"] < 0.6
    backwards = ListSource(source.items[::-1])
    again = evaluate(StubModel("truth"), {}, backwards, shuffle_images=True, score_size=0)
    assert shuffled.rows == again.rows[::-1]


def test_shown_pictures_make_a_sheet_and_progress_is_told():
    done = []
    evaluation = evaluate(
        StubModel("noise"), {}, make_source(5), num_samples=2, num_shown=3, progress=done.append
    )
    assert done == [1, 2, 3, 4, 5]
    assert [d.name for d in evaluation.shown] == ["picture000", "picture001", "picture002"]
    assert evaluation.sheet(cell=32, gap=2).shape == (2 + 3 * 34, 2 + 4 * 34, 3)
