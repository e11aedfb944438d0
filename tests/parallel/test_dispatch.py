"""What is dispatched ahead has a limit, and CPU devices have threads for it."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from bitdiff_jax.parallel import checksums, dispatch
from bitdiff_jax.parallel import mesh as mesh_lib
from tests.parallel import launch


class Result:
    """Stands for an array: notes when it was waited for."""

    def __init__(self, number, waited):
        self.number, self._waited = number, waited

    def block_until_ready(self):
        self._waited.append(self.number)
        return self


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_the_oldest_is_waited_for(limit):
    waited = []
    under_way = dispatch.InFlight(limit)
    for number in range(6):
        assert under_way.add(Result(number, waited)).number == number
        assert waited == list(range(number + 1 - limit))


def test_a_cpu_is_not_run_ahead_of():
    mesh = mesh_lib.make_mesh(devices=jax.devices()[:1])
    assert dispatch.steps_ahead(mesh) == 0


def test_checksums_are_not_all_dispatched_at_once(monkeypatch):
    most, pending = [0], []
    checksum = checksums._checksum

    class Counting(dispatch.InFlight):
        def add(self, result):
            pending.append(result)
            result = super().add(result)
            most[0] = max(most[0], len(self._pending))
            return result

    monkeypatch.setattr(checksums, "InFlight", Counting)
    monkeypatch.setattr(checksums, "_in_memory", lambda leaf: False)
    tree = {str(i): np.full(3, i, np.float32) for i in range(50)}
    found = checksums.checksums(tree)
    assert len(pending) == 50 and 0 < most[0] < 32
    assert found["7"] == int(checksum(tree["7"]))


# Forty programs ahead of two devices, each with a sum over both; see `dispatch`.
_AHEAD = """
import jax, numpy as np
from bitdiff_jax.parallel import dispatch, mesh
dispatch.split_cpu(2)
mesh_ = mesh.make_mesh()
x = jax.device_put(np.ones((2, 64, 64), np.float32), mesh.batch_sharding(mesh_))
f = jax.jit(lambda x: x - 1e-3 * x.sum(0) @ x[0], out_shardings=mesh.batch_sharding(mesh_))
for _ in range(2_000):
    x = f(x)
print(np.asarray(x).shape)
"""


@pytest.mark.slow
def test_two_cpu_devices_have_threads_to_run_and_to_hand_over():
    """On one core or two it aborts after 40 s without them."""
    environment = {k: v for k, v in launch.environment(1).items() if k != "PJRT_NPROC"}
    environment["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "")
    command = [sys.executable, "-c", _AHEAD]
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))[:2]
        command[2] = f"import os; os.sched_setaffinity(0, {allowed})\n{_AHEAD}"
    result = subprocess.run(
        command, env=environment, cwd=launch.ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert "(2, 64, 64)" in result.stdout


@pytest.mark.parametrize(("own", "expected"), [(None, 16), ("3", 3)])
def test_the_number_of_threads(monkeypatch, own, expected):
    updated = {}
    monkeypatch.setattr(dispatch, "_cores", lambda: 2)
    monkeypatch.setattr(jax.config, "update", updated.__setitem__)
    monkeypatch.delenv("PJRT_NPROC", raising=False)
    if own:
        monkeypatch.setenv("PJRT_NPROC", own)
    dispatch.split_cpu(1)
    assert not updated and os.environ.get("PJRT_NPROC") == own
    dispatch.split_cpu(8)
    assert updated == {"jax_num_cpu_devices": 8}
    assert os.environ["PJRT_NPROC"] == str(expected)
