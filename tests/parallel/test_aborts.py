"""What is said last when the C++ below ends the process, and with which code it ends."""

import signal

import pytest

from bitdiff_jax.parallel import hosts
from tests.parallel import launch

_ABORTS = """
import os, sys, threading, time
from bitdiff_jax.parallel import aborts
code = int(sys.argv[1]) if len(sys.argv) > 1 else None
with aborts.told(lambda: ("that is why", code)):
    thread = threading.Thread(target=os.abort)  # as in a thread of XLA's
    thread.start()
    thread.join()
"""
_AFTERWARDS = """
import os
from bitdiff_jax.parallel import aborts
with aborts.told(lambda: ("that is why", 3)):
    pass
os.abort()
"""


@pytest.mark.parametrize(("arguments", "expected"), [([], -signal.SIGABRT), ([69], 69)])
def test_an_abort_is_told(arguments, expected):
    code, _, stderr = launch.run([["-c", _ABORTS, *arguments]], devices=1)[0]
    assert code == expected and stderr.endswith("\nthat is why\n")


def test_not_afterwards():
    code, _, stderr = launch.run([["-c", _AFTERWARDS]], devices=1)[0]
    assert code == -signal.SIGABRT and "why" not in stderr


@pytest.mark.parametrize(
    ("reason", "index", "count", "who"),
    [
        ("Gloo all-reduce failed: Connection reset by peer", 0, 2, "process 1 of 2"),
        ("Gloo all-reduce failed: Connection reset by peer", 0, 4, "another process of 4"),
        ("UNAVAILABLE: Task 2 heartbeat timeout.", 0, 4, "process 2 of 4"),
        ("tasks are unhealthy (stopped sending heartbeats):\n3\nThe", 1, 4, "process 3 of 4"),
        ('grpc_message:"Socket closed"', 3, 4, "process 0 of 4"),
    ],
)
def test_who_is_gone(reason, index, count, who):
    assert f"{who} is gone, and process {index} ends with it" in hosts._lost(reason, index, count)


_TRAINS = """
import os, sys
import jax
jax.distributed.initialize(
    f"127.0.0.1:{sys.argv[1]}", 2, int(sys.argv[2]), heartbeat_timeout_seconds=10
)
from bitdiff_jax.training import loop
from tests.training import fakes

def at_step(step):
    if step == 4 and jax.process_index() == int(sys.argv[3]):
        os.kill(os.getpid(), 9)

loop.prepare = lambda _, **__: fakes.setup(fakes.config(num_steps=1000), at_step=at_step)
loop.train(fakes.config(num_steps=1000), sys.argv[4])
"""


@pytest.mark.multiprocess
@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_is_left_alone(victim, tmp_path):
    port = launch.free_port()
    commands = [["-c", _TRAINS, port, index, victim, tmp_path] for index in (0, 1)]
    results = launch.run(commands, devices=1, timeout=300)
    assert results[victim][0] == -signal.SIGKILL
    code, _, stderr = results[1 - victim]
    assert code == hosts.LOST, stderr[-2000:]
    last = stderr.rstrip().splitlines()[-1]
    assert f"process {victim} of 2 is gone" in last and "start the same command again" in last
