"""The short form of benchmarks/robustness/starvation.py; the long one has fifty runs."""

import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.multiprocess]

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "robustness" / "starvation.py"


def test_two_cpu_devices_do_not_starve_each_other(tmp_path):
    result = subprocess.run(
        [
            sys.executable,
            SCRIPT,
            "--runs=2",
            "--seconds=2",
            f"--workdir={tmp_path}",
            "--set=model.net.implementation=tests.own_network:ThreeConvs",
        ],
        env={**os.environ, "PYTHONPATH": str(SCRIPT.parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert result.returncode == 0, result.stdout
    assert "0 of 2 runs ended otherwise than asked" in result.stdout
