"""Intervals of 0, lines by time, and evaluations that fail: no step is lost, nothing divides."""

import signal

import pytest

from bitdiff_jax.checkpoint import open_for_reading
from bitdiff_jax.errors import Interrupted
from bitdiff_jax.training.progress import Progress
from bitdiff_jax.writers import read_metrics
from tests.parallel import launch
from tests.training import fakes
from tests.training.test_interruption import send, train


def saved(workdir):
    return sorted(int(p.name) for p in (workdir / "checkpoints").iterdir())


def test_never_logged(monkeypatch, tmp_path, capsys):
    train(monkeypatch, tmp_path, fakes.config(log_every=0), evaluator=(scores := fakes.Scores()))
    assert all("loss" not in row for row in read_metrics(tmp_path))
    assert scores.steps == [6, 12] and saved(tmp_path) == [6, 9, 12]
    assert "loss" not in capsys.readouterr().out


def test_never_evaluated(monkeypatch, tmp_path):
    train(monkeypatch, tmp_path, fakes.config(eval_every=0), evaluator=(scores := fakes.Scores()))
    assert scores.steps == [] and saved(tmp_path) == [9, 12]


def test_never_saved(monkeypatch, tmp_path, capsys):
    c, scores = fakes.config(checkpoint_every=0), fakes.Scores()
    train(monkeypatch, tmp_path, c, evaluator=scores)
    assert scores.steps == [6, 12] and saved(tmp_path) == []
    assert "config.train.checkpoint_every=0" in capsys.readouterr().out


def test_a_signal_saves_even_so(monkeypatch, tmp_path):
    c = fakes.config(checkpoint_every=0, log_every=0, eval_every=0)
    with pytest.raises(Interrupted):
        train(monkeypatch, tmp_path, c, at_step=lambda step: step == 5 and send(signal.SIGTERM))
    assert saved(tmp_path) == [5]


@pytest.mark.slow
@pytest.mark.parametrize("keep_best", [0, 1])
@pytest.mark.parametrize("checkpoint_every", [0, 4, 6])
def test_a_failing_evaluation_loses_no_step(monkeypatch, tmp_path, keep_best, checkpoint_every):
    def fail(step, number):
        raise RuntimeError("out of memory")

    c = fakes.config(checkpoint_every=checkpoint_every, keep_best=keep_best, keep_checkpoints=9)
    with pytest.raises(RuntimeError, match="out of memory"):
        train(monkeypatch, tmp_path, c, evaluator=fakes.Scores(on_image=fail))
    assert saved(tmp_path)[-1] == 6
    # The next start makes up for it, and the best is known.
    train(monkeypatch, tmp_path, c, evaluator=(scores := fakes.Scores()))
    assert scores.steps == [6, 12]
    checkpoints, _ = open_for_reading(tmp_path)
    with checkpoints:
        assert checkpoints.about(6)["scores"]["eval/ari"] == 0.06


def test_it_is_saved_before_it_is_evaluated(monkeypatch, tmp_path):
    """So that a process killed by an evaluation has lost nothing."""
    seen = []

    def look(step, number):
        names = (tmp_path / "checkpoints").iterdir()
        seen.append(any(p.name.split(".")[0] == str(step) for p in names))

    train(monkeypatch, tmp_path, evaluator=fakes.Scores(on_image=look))
    assert seen == [True] * 4


def test_a_line_by_time(capsys):
    now = [0.0]
    c = fakes.config(log_seconds=30.0)
    progress = Progress(c, clock=lambda: now[0])
    for now[0], late in ((29.0, False), (30.0, True), (70.0, True)):
        assert progress.is_late() is late
    progress.show(3, {"loss": 1.0})
    assert not progress.is_late()
    now[0] += 30
    assert progress.is_late()
    c.train.log_seconds = 0.0
    assert not progress.is_late()


def test_lines_by_time_are_not_written_down(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(Progress, "is_late", lambda self: True)
    train(monkeypatch, tmp_path)
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 4, 8, 12]
    out = capsys.readouterr().out
    assert all(f"step {step}/12  loss" in out for step in range(1, 13))


_RAISES = """
import sys, time
import jax
from bitdiff_jax.training import loop
from tests.training import fakes

c = fakes.config(num_steps=50, eval_every=0, checkpoint_every=0)
setup = fakes.setup(c, delay=2_000_000)
loop.prepare = lambda _, **__: setup
loop.steps_ahead = lambda mesh: 1  # as on an accelerator: a step is under way when it fails

def note(self, step, metrics):
    if step == 5:
        raise ZeroDivisionError("in the middle of a step")

loop.Watch.note = note
loop.train(c, sys.argv[1])
"""


@pytest.mark.slow
def test_an_exception_ends_the_process_as_one(tmp_path):
    """Not by an abort: nothing is left that waits for a device when Python ends."""
    code, _, stderr = launch.run([["-c", _RAISES, tmp_path]], devices=1)[0]
    assert code == 1, stderr[-2000:]
    assert stderr.rstrip().endswith("ZeroDivisionError: in the middle of a step")
