"""Two processes stop at the same step and go on from the same checkpoint, whichever one knows."""

import json
import socket
import subprocess
import sys

import numpy as np
import pytest

from bitdiff_jax.checkpoint import Checkpoints, restore_last_good
from bitdiff_jax.training import loop
from tests.training import fakes


@pytest.mark.multiprocess
def test_two_processes_decide_as_one(tmp_path, monkeypatch):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = str(server.getsockname()[1])
    command = [sys.executable, "-m", "tests.training.two_processes"]
    processes = [
        subprocess.Popen(
            [*command, str(index), port, str(tmp_path / "two")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for index in (0, 1)
    ]
    try:
        outputs = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], outputs
    lines = [next(x for x in out.splitlines() if x.startswith("TOLD")) for out in outputs]
    told = [json.loads(line.removeprefix("TOLD")) for line in lines]

    # The signal came to process 1 in step 4; a vote takes two steps.
    stopped = told[0]["stopped"][0]
    assert told[1]["stopped"][0] == stopped in (6, 7)
    assert "SIGTERM" in told[1]["stopped"][1] and "another process" in told[0]["stopped"][1]
    assert told[0]["refused"] == "not mine" and "another process" in told[1]["refused"]
    # Damaged to one is damaged to all.
    assert [t["good"] for t in told] == [3 if stopped == 6 else 6] * 2
    assert (tmp_path / "two" / "quarantine" / str(stopped)).is_dir()
    assert [(t["worst"], t["first"]) for t in told] == [(1, [7, 8])] * 2

    # And nothing of it shows in the end.
    c = fakes.config()
    monkeypatch.setattr(loop, "prepare", lambda _, **__: fakes.setup(c))
    alone = loop.train(c, tmp_path / "one")
    for each in told:
        np.testing.assert_array_equal(np.float32(each["w"]), alone.params["w"])

    # What two processes wrote, one can read.
    with Checkpoints(tmp_path / "two") as checkpoints:
        _, state = restore_last_good(checkpoints, fakes.setup(c).abstract_state)
    np.testing.assert_array_equal(state.params["w"], alone.params["w"])
