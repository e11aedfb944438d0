"""The errors that the benchmark plants into maps, and its AUROC."""

import numpy as np
import pytest

from benchmarks.quality import label_errors, planted_errors
from tests.inference import tiny

STRIPES = np.repeat(np.arange(4), 10)[None].repeat(30, axis=0)  # 30 x 40, four regions side by side


@pytest.fixture(params=range(5))
def rng(request):
    return np.random.default_rng(request.param)


def changed(wrong):
    return wrong != STRIPES


def test_neighbours_share_a_side_and_are_large_enough():
    assert label_errors.neighbours(STRIPES) == [(0, 1), (1, 2), (2, 3)]
    small = STRIPES.copy()
    small[0, :3] = 4  # less than a fiftieth of the image
    ignored = np.where(STRIPES == 1, -1, STRIPES)
    assert (0, 4) not in label_errors.neighbours(small)
    assert label_errors.neighbours(ignored) == [(2, 3)]


def test_a_merge_joins_two_and_touches_no_other(rng):
    wrong, where = label_errors.merge(STRIPES, rng)
    assert len(np.unique(wrong)) == 3
    assert where.sum() == 600 and (where | ~changed(wrong)).all()
    assert len(np.unique(wrong[where])) == 1


def test_a_split_has_two_halves_of_one_region(rng):
    wrong, where = label_errors.split(STRIPES, rng)
    ids, areas = np.unique(wrong[where], return_counts=True)
    assert len(ids) == 2 and len(np.unique(STRIPES[where])) == 1
    assert where.sum() == 300 and abs(int(areas[0]) - int(areas[1])) <= 30
    assert (where | ~changed(wrong)).all() and len(np.unique(wrong)) == 5


def test_a_shift_moves_one_boundary_by_its_distance(rng):
    wrong, where = label_errors.shift(STRIPES, rng)
    assert len(np.unique(wrong)) == 4  # none is swallowed
    assert changed(wrong).sum() == 2 * 30  # .06 of 40 pixels are two columns
    assert where.sum() == 600 and (where | ~changed(wrong)).all()


def test_what_is_too_small_gets_no_error(rng):
    one = np.zeros((5, 5), int)
    assert label_errors.merge(one, rng) is None and label_errors.shift(one, rng) is None
    assert label_errors.split(np.arange(100).reshape(10, 10), rng) is None


def test_auroc_counts_pairs():
    values, wrong = np.array([3.0, 1, 2, 2]), np.array([True, False, True, False])
    pairs = [(a > b) + 0.5 * (a == b) for a in values[wrong] for b in values[~wrong]]
    assert planted_errors.auroc(values, wrong) == np.mean(pairs) == 0.875
    assert np.isnan(planted_errors.auroc(values, np.ones(4, bool)))


def test_rows_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "rows.jsonl"
    scores = {"surprise": 0.5, "area": 0.25}
    first = [planted_errors.Scored(3, "merge", True, scores)], []
    second = [], [planted_errors.Scored(4, "", False, {**scores, "surprise": float("nan")})]
    assert planted_errors.read(path) == {}
    planted_errors.append(path, 3, first)
    planted_errors.append(path, 4, second)
    found = planted_errors.read(path)
    assert list(found) == [3, 4] and found[3] == first
    assert np.isnan(found[4][1][0].scores["surprise"]) and found[4][1][0][:3] == (4, "", False)


def test_a_second_start_scores_only_what_has_no_rows(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("BITDIFF_CACHE_DIR", "")
    workdir, _ = tiny.shared()
    rows = tmp_path / "rows.jsonl"
    arguments = [
        f"--checkpoint={workdir}", "--data=scenes,level=1,seed=3", "--num_samples=3",
        "--num_times=2", "--size=32", f"--rows={rows}",
    ]  # fmt: skip
    planted_errors.main([*arguments, "--num_images=1"])
    first = rows.read_text()
    assert "1 images, 3 samples" in capsys.readouterr().out and first.count("\n") == 1
    scored = []
    score = planted_errors.rows_of_image
    monkeypatch.setattr(
        planted_errors, "rows_of_image", lambda *args: scored.append(args[2]) or score(*args)
    )
    planted_errors.main([*arguments, "--num_images=2"])
    assert scored == [1] and rows.read_text().startswith(first)
