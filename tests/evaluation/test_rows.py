import json
import math
import tracemalloc

import numpy as np
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import image_measures, on_files, protocols, rows
from bitdiff_jax.evaluation.predictions import Predictions
from bitdiff_jax.evaluation.predictions.reader import PredictedMaps
from bitdiff_jax.evaluation.truths import Truth


class Maps(Predictions):
    """Predictions and truths made up as they are asked for."""

    kind = "png"
    unlabelled = "nothing"

    def __init__(self, count, broken=()):
        super().__init__("made up", [f"picture{i:05d}" for i in range(count)])
        self.broken, self.reads = set(broken), 0

    def _read(self, name):
        self.reads += 1
        if name in self.broken:
            raise InputError(f"{name}: damaged")
        rng = np.random.default_rng(int(name[-5:]))
        return PredictedMaps(tuple(rng.integers(0, 3, (2, 6, 8)).astype(np.int32)))

    def read(self, name):
        rng = np.random.default_rng(int(name[-5:]) + 1)
        return Truth((rng.integers(0, 3, (6, 8)).astype(np.int32),), None)


def _task(maps):
    return on_files.Task(maps, maps, (protocols.NATIVE,))


def _run(path, maps, **options):
    task = _task(maps)
    with rows.RowFile(path, {"of": "this"}, task.columns()) as file:
        on_files.run(task, maps.names, file, **options)
    return rows.read(path)


def test_rows_resume_where_they_were_cut_off(tmp_path):
    whole = _run(tmp_path / "whole", Maps(9))
    path = tmp_path / "rows"
    maps = Maps(9)

    def stop(done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _run(path, maps, progress=stop)
    # The crash came in the middle of a row: it is written again.
    path.write_bytes(path.read_bytes()[:-30])
    seen, maps = [], Maps(9)
    again = _run(path, maps, progress=lambda *each: seen.append(each))
    assert maps.reads == 6 and seen[0] == (4, 9) and seen[-1] == (9, 9)
    assert again.names == whole.names
    np.testing.assert_array_equal(again.values, whole.values)
    assert path.read_text() == (tmp_path / "whole").read_text()
    maps.reads = 0
    _run(path, maps)
    assert maps.reads == 0


def test_each_image_has_one_row(tmp_path):
    path = tmp_path / "rows"
    with rows.RowFile(path, {}, ["a", "b"]) as file:
        file.add(rows.Row("x", [1.0, math.nan]))
        file.add(rows.Row("x", [2.0, 2.0]))
    # Two starts side by side may both have written it.
    with path.open("a") as file:
        file.write(json.dumps({"name": "x", "values": [3, 3]}) + "\n")
    table = rows.read(path)
    assert table.names == ("x",)
    np.testing.assert_array_equal(table.values, [[1, math.nan]])
    np.testing.assert_array_equal(table.column("a"), [1])
    assert table.of(["y", "x"]).names == ("x",)
    assert rows.left(["a", "x", "a"], {"x"}) == ["a"]


def test_what_cannot_be_scored_is_kept_as_an_error_and_tried_again(tmp_path):
    path = tmp_path / "rows"
    table = _run(path, Maps(3, broken=["picture00001"]))
    assert table.errors == {"picture00001": "picture00001: damaged"}
    assert table.names == ("picture00000", "picture00002")
    table = _run(path, Maps(3))
    assert table.errors == {} and len(table.names) == 3


def test_rows_of_something_else_are_refused(tmp_path):
    path = tmp_path / "rows"
    rows.RowFile(path, {"a": 1, "b": (1, 2)}, ["x"]).close()
    rows.RowFile(path, {"a": 1, "b": (1, 2)}, ["x"]).close()
    with pytest.raises(InputError, match="differs in a"):
        rows.RowFile(path, {"a": 2, "b": (1, 2)}, ["x"])
    with pytest.raises(InputError, match="differs in its figures"):
        rows.RowFile(path, {"a": 1, "b": (1, 2)}, ["y"])
    with pytest.raises(InputError, match="buckets"):
        rows.RowFile("gs://bucket/rows", {}, ["y"])
    with pytest.raises(InputError, match="cannot be written"):
        rows.RowFile(tmp_path / "no" / "rows", {}, ["y"])
    (tmp_path / "other").write_text("{}\n")
    with pytest.raises(InputError, match="not a file of rows"):
        rows.read(tmp_path / "other")


def test_a_file_cut_within_its_first_line_starts_anew(tmp_path):
    path = tmp_path / "rows"
    path.write_text('{"about": {"a"')
    assert _run(path, Maps(2)).names == ("picture00000", "picture00001")


def test_memory_is_flat(tmp_path):
    def peak(count):
        tracemalloc.start()
        maps = Maps(count)
        task = on_files.Task(maps, maps, (protocols.NATIVE,), image_measures.TABLE_MEASURES)
        with rows.RowFile(tmp_path / str(count), {}, task.columns()) as file:
            on_files.run(task, task.predictions.names, file)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(5)
    # What stays of a picture is its name; its figures alone would be 1.5 KB more.
    assert peak(40) - peak(10) < 30 * 600


@pytest.mark.slow
def test_another_process_gives_the_same_rows(tmp_path):
    here = _run(tmp_path / "here", Maps(6))
    there = _run(tmp_path / "there", Maps(6), workers=1)
    assert here.names == there.names
    np.testing.assert_array_equal(here.values, there.values)
