import json
import os
import signal
import subprocess
import sys
import time

import pytest

from bitdiff_jax.cli import main as cli
from bitdiff_jax.errors import InputError
from bitdiff_jax.repro import cost, ledger, rows, runner
from bitdiff_jax.repro.arms import Evaluation
from bitdiff_jax.repro.catalogue import CLAIMS
from bitdiff_jax.repro.deadline import Deadline, OutOfTime
from bitdiff_jax.training import loop
from bitdiff_jax.training.trouble import NonFinite

CONFIG = os.path.join(os.path.dirname(__file__), "tiny.py")
DRAWN = Evaluation("base")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _keep_caches(cache, monkeypatch):
    monkeypatch.setenv("BITDIFF_CACHE_DIR", cache)
    monkeypatch.setattr(runner, "_forget", lambda: None)  # programs are shared by tests


@pytest.fixture(scope="module")
def finished(tmp_path_factory, cache):
    """A folder with one seed of the base, drawn from."""
    out = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BITDIFF_CACHE_DIR", cache)
        patch.setattr(runner, "_forget", lambda: None)
        assert runner.Runner(out, CONFIG, num_images=4).run([DRAWN], 1) == 0
    return out


def read(out, name="drawn"):
    return rows.read(out / "base" / "seed_0" / name / rows.FILE)


def without_seconds(found):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in found]


@pytest.mark.slow
def test_rows_have_a_line_for_each_scene(finished):
    found = read(finished)
    assert len({row["image"] for row in found}) == 4
    for row in found:
        assert {"ari", "iou", "pq", "regions", "regions_true", "orphans", "seconds"} <= row.keys()
        assert -1 <= row["ari"] <= 1 and row["regions_true"] >= 2
    assert cost.seconds(finished / "base" / "seed_0" / "train") > 0


@pytest.mark.slow
def test_what_is_finished_is_not_run_again(finished, monkeypatch):
    monkeypatch.setattr(loop, "train", None)
    monkeypatch.setattr(runner.drawing, "draw", None)
    assert runner.Runner(finished, CONFIG, num_images=4).run([DRAWN], 1) == 0


def test_rows_of_a_ledger_are_not_made_again(tmp_path, capsys):
    scenes = {"ari": [500] * 300, "iou": [500] * 300}
    known = [ledger.Record(key, 0, scenes, {}, {}) for key in ("base/drawn", "base/raw")]
    ledger.write(known, tmp_path / "ledger")
    folders = [f"--out={tmp_path / 'out'}", f"--known={tmp_path / 'ledger'}"]
    assert cli.main(["repro", "ema", "--seeds=1", f"--config={CONFIG}", *folders]) == 0
    assert "average over last, by ari: +0.000" in capsys.readouterr().out
    assert not (tmp_path / "out" / "base").exists()


def test_what_is_known_is_not_made(tmp_path):
    told = []
    known = {(DRAWN.key, seed) for seed in range(3)}
    assert runner.Runner(tmp_path, CONFIG, known=known, tell=told.append).run([DRAWN], 3) == 0
    assert not told and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_scenes_that_have_a_row_are_not_drawn_again(finished, tmp_path):
    path = finished / "base" / "seed_0" / "drawn" / rows.FILE
    whole = path.read_bytes()
    try:
        first, second = whole.splitlines(keepends=True)[:2]
        kept = {**json.loads(first), "ari": -7.0}
        path.write_text(json.dumps(kept) + "\n" + second.decode()[:-9])  # killed while writing
        runner.Runner(finished, CONFIG, num_images=4).evaluate(DRAWN, 0)
        found = {row["image"]: row for row in read(finished)}
        assert len(found) == 4 and found[kept["image"]]["ari"] == -7.0
        again = without_seconds(map(json.loads, whole.splitlines()))
        assert without_seconds([*found.values()])[1:] == again[1:]
    finally:
        path.write_bytes(whole)


@pytest.mark.slow
def test_results_of_other_settings_are_not_mixed(finished):
    with pytest.raises(InputError, match="other settings \\(num_images\\)"):
        runner.Runner(finished, CONFIG, num_images=3).evaluate(DRAWN, 0)


@pytest.mark.slow
def test_several_samples_and_members(finished, monkeypatch):
    work = runner.Runner(finished, CONFIG, num_images=2)
    work.make(Evaluation("base", "votes", num_samples=3), 0)
    (row, _) = read(finished, "votes")
    assert row["ari_best"] >= row["ari"] and -1 <= row["ari_consensus"] <= 1
    monkeypatch.setattr(runner.Runner, "folder", lambda self, t, seed: finished / t / "seed_0")
    monkeypatch.setattr(runner.Runner, "train", lambda self, training, seed: True)
    work.make(Evaluation("base", "twice", members=2), 0)
    # The mean of a model and itself is what the model draws.
    assert without_seconds(read(finished, "twice")) == without_seconds(read(finished))[:2]


@pytest.mark.slow
def test_a_failure_does_not_stop_the_others(finished, monkeypatch):
    told = []
    work = runner.Runner(finished, CONFIG, num_images=4, tell=told.append)
    missing = Evaluation("base", "strange", {"method": "no_method"})
    assert work.run([missing, DRAWN], 1) == 1
    assert any("no_method" in line for line in told)


def test_a_loss_that_is_not_finite_is_kept_as_the_result(tmp_path, monkeypatch):
    def diverges(*arguments, **options):
        found = NonFinite("loss", float("nan"), 1, 2)
        raise InputError(f"{found}; lower the rate") from found

    monkeypatch.setattr(loop, "train", diverges)
    work = runner.Runner(tmp_path, CONFIG, num_images=4)
    assert work.run([DRAWN], 1) == 0
    monkeypatch.setattr(loop, "train", None)  # not tried again
    assert work.run([DRAWN], 1) == 0
    found = ledger.of_claim(CLAIMS["ema"], tmp_path)
    assert {record.failed for record in found} == {"the loss became nan within steps 1 to 2"}


def test_time_that_is_over_stops_before_the_first_step(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "train", None)
    with pytest.raises(OutOfTime):
        runner.Runner(tmp_path, CONFIG, deadline=Deadline(0.0)).run([DRAWN], 1)


def test_a_deadline_signals_this_process():
    heard = []
    deadline = Deadline(0.001)
    before = signal.getsignal(signal.SIGUSR1)
    with deadline.signalled():
        signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
        for _ in range(500):
            if heard:
                break
            time.sleep(0.02)
    assert heard[0] == signal.SIGUSR1 and signal.getsignal(signal.SIGUSR1) == before
    with pytest.raises(OutOfTime):
        deadline.check()


@pytest.mark.slow
@pytest.mark.multiprocess
def test_killed_and_started_again_it_gives_the_same_rows(finished, tmp_path, cache):
    """Killed after the first checkpoint; the rest is made in this process."""
    arguments = ("repro", "ema", f"--config={CONFIG}", "--seeds=1", "--num_images=4")
    command = [sys.executable, "-m", "bitdiff_jax", *arguments, f"--out={tmp_path}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / "base" / "seed_0" / "train" / "checkpoints" / "1"
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert checkpoint.parent.exists()
    runner.Runner(tmp_path, CONFIG, num_images=4).run([DRAWN], 1)
    assert without_seconds(read(tmp_path)) == without_seconds(read(finished))


@pytest.mark.slow
def test_the_command_tells_verdicts(finished, capsys):
    assert cli.main(
        ["repro", "ema", f"--config={CONFIG}", "--seeds=1", "--num_images=4", f"--out={finished}"]
    ) == 0  # fmt: skip
    out = capsys.readouterr().out
    assert "ema: undecided" in out and "average over last, by ari" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fig12"], "there is no claim 'fig12'"),
        (["ema"], "--out is not given"),
        (["page"], "--to is not given"),
        (["page", "--to=x.md", "--out=/nowhere"], "--out /nowhere: no such folder"),
        (["ema", "--out=made", "--known=/nowhere"], "--known /nowhere: no such folder"),
    ],
)
def test_what_is_missing_is_named(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["repro", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


def test_the_list_names_every_claim(capsys):
    assert cli.main(["repro", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(CLAIMS)


def test_what_is_computed_is_printed(tmp_path, capsys):
    assert cli.main(["repro", "fig2", f"--config={CONFIG}", f"--out={tmp_path}"]) == 0
    out = capsys.readouterr().out
    assert "fig2: computed" in out and "b = 0.1" in out
