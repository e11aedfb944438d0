"""The harness: peers take turns in processes of their own, and a busy machine is refused."""

import argparse
import json
import statistics
import subprocess
import sys

import pytest

from benchmarks.against_peers import machine, paired
from bitdiff_jax.errors import InputError

pytestmark = pytest.mark.multiprocess

HERE = "tests.benchmarks.peers"
AT_ONCE = {"settle": 0.0, "least_seconds": 0.0}


def options(*argv):
    parser = argparse.ArgumentParser()
    paired.add_options(parser, rounds=3)
    return parser.parse_args(argv)


@pytest.fixture(scope="module")
def slept(tmp_path_factory):
    """(result, printed lines, what was written) of two sleepers."""
    path = tmp_path_factory.mktemp("json") / "deep" / "result.json"
    peers = [
        paired.Peer("short", f"{HERE}:sleeper", {"seconds": 0.05}, iterations=2),
        paired.Peer("long", f"{HERE}:sleeper", {"seconds": 0.2}),
    ]
    args = options("--anyway", "--rounds=3", f"--json={path}")
    result = paired.compare("naps", peers, args, scale=1e3, target=0.5, **AT_ONCE)
    paired.write(args.json, [result])
    return result, list(paired.table(result)), json.loads(path.read_text())


def test_medians_and_the_ratio_of_sleepers(slept):
    short, long = slept[0]["peers"]
    assert [len(seconds) for seconds in short["seconds"]] == [2, 2, 2]
    assert [len(seconds) for seconds in long["seconds"]] == [1, 1, 1]
    assert 50 <= short["median"] < 150 and 200 <= long["median"] < 300
    (found,) = slept[0]["ratios"]
    assert found["peer"] == "long" and found["low"] <= found["median"] <= found["high"]
    paired_rounds = zip(short["rounds"], long["rounds"], strict=True)
    assert found["median"] == pytest.approx(statistics.median(a / b for a, b in paired_rounds))


def test_the_table_names_peers_target_and_marks_a_measurement_made_anyway(slept):
    result, lines, _ = slept
    text = "\n".join(lines)
    assert "naps" in text and "sleeps 0.05 s" in text and "ours / long" in text
    assert "at most 0.5" in text
    assert ("NOT IDLE" in text) == (not result["machine"]["idle"])
    busy = result | {"machine": result["machine"] | {"idle": False}}
    assert "NOT IDLE" in "\n".join(paired.table(busy))


def test_the_json_is_the_result(slept):
    result, _, written = slept
    assert written == [json.loads(json.dumps(result))]
    assert written[0]["machine"]["anyway"] is True


def test_peers_take_turns_and_the_order_turns_around(monkeypatch):
    turns = []
    run = paired.Process.run
    monkeypatch.setattr(
        paired.Process, "run", lambda self, *a: (turns.append(self.peer.name), run(self, *a))
    )
    peers = [paired.Peer(name, f"{HERE}:sleeper", {"seconds": 0.0}) for name in "ab"]
    paired.measure(peers, rounds=3, **AT_ONCE)
    assert "".join(turns) == "abbaab"


def test_the_peak_is_that_of_the_rounds():
    if machine.peak_bytes() is None:
        pytest.skip("this system does not tell")
    peers = [
        paired.Peer("small", f"{HERE}:eater", {"megabytes": 1}),
        paired.Peer("large", f"{HERE}:eater", {"megabytes": 200}),
    ]
    small, large = paired.measure(peers, rounds=1, **AT_ONCE)
    assert 190 < (large.peak - small.peak) / 2**20 < 230


def test_short_iterations_fill_a_run():
    peer = paired.Peer("short", f"{HERE}:sleeper", {"seconds": 0.01})
    (timing,) = paired.measure([peer], rounds=1, settle=0.0, least_seconds=0.1)
    assert 5 <= len(timing.seconds[0]) <= 10


def test_what_a_peer_prints_does_not_disturb():
    (timing,) = paired.measure([paired.Peer("noisy", f"{HERE}:noisy")], rounds=1, **AT_ONCE)
    assert len(timing.seconds) == 1


def test_a_peer_that_cannot_be_built_is_named():
    with pytest.raises(InputError, match=r"'it'.*ValueError: seconds is missing; give one"):
        paired.measure([paired.Peer("it", f"{HERE}:broken")], rounds=1, **AT_ONCE)


def test_a_busy_machine_is_refused_unless_told_otherwise():
    if machine.busy_seconds() is None:
        pytest.skip("no /proc/stat")
    spin = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        # A niced or crowded machine may give the spinner little; what it takes must be seen.
        with pytest.raises(InputError, match=r"cores busy .* --anyway"):
            paired.check_idle(anyway=False, seconds=0.5)
        about = paired.check_idle(anyway=True, seconds=0.5)
        assert about["anyway"] and not about["idle"] and about["others_before"] > 0.15
    finally:
        spin.kill()
        spin.wait()


@pytest.mark.parametrize(("found", "refused"), [(0.0, False), (0.1, False), (0.4, True)])
def test_idle_is_what_others_leave(monkeypatch, found, refused):
    monkeypatch.setattr(machine, "others", lambda seconds: found)
    if refused:
        with pytest.raises(InputError, match=r"0\.40 cores"):
            paired.check_idle(anyway=False)
    else:
        assert paired.check_idle(anyway=False)["idle"]


def test_a_system_that_does_not_tell_is_refused(monkeypatch):
    monkeypatch.setattr(machine, "others", lambda seconds: None)
    with pytest.raises(InputError, match="--anyway"):
        paired.check_idle(anyway=False)
    assert not paired.check_idle(anyway=True)["idle"]


def test_a_stopped_process_does_not_count(monkeypatch, tmp_path):
    """Only ticks count, and a stopped process gets none."""
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 20 30 4000 7 1 2 3 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    monkeypatch.setattr(machine, "_STAT", stat)
    assert machine.busy_seconds() == pytest.approx(156 / machine._TICKS)
    assert machine.others(0.05) == 0.0


def test_no_rounds_are_an_error():
    with pytest.raises(InputError, match="--rounds=0"):
        paired.compare("x", [], options("--rounds=0"))


def test_an_error_is_one_line_and_exit_code_2(capsys):
    def main():
        raise InputError("rounds is 0; give 1")

    with pytest.raises(SystemExit) as exit_:
        paired.run(main)
    assert exit_.value.code == 2 and capsys.readouterr().err == "error: rounds is 0; give 1\n"
