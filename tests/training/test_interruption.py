"""Signals: the first one ends a training in good order, the second one at once."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing import resource_tracker

import jax
import numpy as np
import pytest

from bitdiff_jax.checkpoint import open_for_reading
from bitdiff_jax.cli import main as cli
from bitdiff_jax.errors import Interrupted
from bitdiff_jax.parallel import mesh as mesh_lib
from bitdiff_jax.training import loop
from bitdiff_jax.training.interruption import SIGNALS, GivenUp, Interruption, shielded
from bitdiff_jax.writers import read_metrics
from tests.training import fakes, worker_mask


def send(number):
    """To this process; returns when it must have been heard."""
    os.kill(os.getpid(), number)
    time.sleep(0.2)


def train(monkeypatch, workdir, c=None, **options):
    c = c or fakes.config()
    monkeypatch.setattr(loop, "prepare", lambda _, **__: fakes.setup(c, **options))
    return loop.train(c, workdir)


def assert_same(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def losses(workdir):
    return {row["step"]: row["loss"] for row in read_metrics(workdir) if "loss" in row}


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_heard_and_the_handlers_are_put_back(number, capfd):
    before = {n: signal.getsignal(n) for n in SIGNALS}
    with Interruption(mesh_lib.make_mesh()) as interruption:
        assert not interruption.reached(1)
        interruption.stop_waiting()
        send(number)
        assert interruption.reached(2) and interruption.reason == number.name
        with pytest.raises(GivenUp):
            interruption.stop_waiting()
    assert {n: signal.getsignal(n) for n in SIGNALS} == before
    assert signal.set_wakeup_fd(-1) == -1
    assert f"{number.name}: saving after this step" in capfd.readouterr().err


_BUSY = """
import hashlib, jax
from bitdiff_jax.parallel import mesh
from bitdiff_jax.training.interruption import Interruption
with Interruption(mesh.make_mesh()):
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # minutes in C, as a compilation is
"""


@pytest.mark.multiprocess
def test_a_second_signal_ends_the_process_even_while_it_compiles():
    process = subprocess.Popen(
        [sys.executable, "-c", _BUSY], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        told = process.stderr.readline() + process.stderr.readline()
        assert "SIGTERM: saving after this step" in told
        assert process.poll() is None
        time.sleep(1.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 128 + signal.SIGINT
    finally:
        process.kill()


def test_the_same_signal_twice_is_one(capfd):
    """As `timeout` sends it: to the process, and to its group."""
    with Interruption(mesh_lib.make_mesh()) as interruption:
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        send(signal.SIGINT)
        assert interruption.reached(1) and interruption.reason == "SIGTERM"
    assert capfd.readouterr().err.count("saving after this step") == 1


def test_workers_do_not_see_what_is_sent_to_the_group(monkeypatch):
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    # As in a fresh process, where nothing has started it yet.
    for name in ("_fd", "_pid"):
        monkeypatch.setattr(resource_tracker._resource_tracker, name, None)
    with shielded():
        worker = context.Process(target=worker_mask.tell, args=(theirs,))
        worker.start()
    assert ours.recv() == ["SIGINT", "SIGUSR1"]
    worker.join()
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 5, 6])
def test_it_saves_stops_and_goes_on_as_if_nothing_had_happened(monkeypatch, tmp_path, at):
    whole = train(monkeypatch, tmp_path / "whole", evaluator=(scores := fakes.Scores()))
    assert scores.steps == [6, 12]

    def at_step(step):
        if step == at:
            send(signal.SIGTERM)

    broken, scores = tmp_path / "broken", fakes.Scores()
    with pytest.raises(Interrupted, match=rf"stopped by SIGTERM after step {at}, which is saved"):
        train(monkeypatch, broken, at_step=at_step, evaluator=scores)
    checkpoints, step = open_for_reading(broken)
    checkpoints.__exit__()
    assert step == at
    assert_same(whole, train(monkeypatch, broken, evaluator=scores))
    assert scores.steps == [6, 12]
    assert losses(tmp_path / "whole").items() <= losses(broken).items()


def test_a_signal_at_the_last_step_changes_nothing(monkeypatch, tmp_path):
    def at_step(step):
        if step == 12:
            send(signal.SIGTERM)

    assert int(train(monkeypatch, tmp_path, at_step=at_step).step) == 12


def test_an_evaluation_is_given_up_and_made_up_for(monkeypatch, tmp_path):
    def on_image(step, number):
        if (step, number) == (6, 1):
            send(signal.SIGUSR1)

    scores = fakes.Scores(on_image=on_image)
    with pytest.raises(Interrupted, match="SIGUSR1 after step 6"):
        train(monkeypatch, tmp_path, evaluator=scores)
    assert scores.steps == []
    scores = fakes.Scores()
    train(monkeypatch, tmp_path, evaluator=scores)
    assert scores.steps == [6, 12]
    rows = {row["step"]: row for row in read_metrics(tmp_path)}
    assert rows[6]["eval/ari"] == 0.06


def test_a_finished_run_is_not_evaluated_again(monkeypatch, tmp_path):
    scores = fakes.Scores()
    for _ in range(2):
        train(monkeypatch, tmp_path, evaluator=scores)
    assert scores.steps == [6, 12]


def test_the_best_stays(monkeypatch, tmp_path):
    c = fakes.config(eval_every=4, keep_checkpoints=1)
    scores = fakes.Scores(of=lambda step: -abs(step - 5))
    train(monkeypatch, tmp_path, c, evaluator=scores)
    kept = sorted(int(p.name) for p in (tmp_path / "checkpoints").iterdir())
    assert kept == [4, 12] and scores.steps == [4, 8, 12]
    checkpoints, _ = open_for_reading(tmp_path)
    with checkpoints:
        assert checkpoints.about(4)["scores"] == {"eval/ari": -1, "eval/iou": 0.5}


def test_the_exit_code(monkeypatch, tmp_path, capsys):
    def stop(*_, **__):
        raise Interrupted(7, "SIGTERM")

    monkeypatch.setattr(loop, "train", stop)
    assert cli.main(["train", "--config=base:smoke", f"--workdir={tmp_path}"]) == 75
    assert "SIGTERM after step 7, which is saved; run the same command" in capsys.readouterr().err
