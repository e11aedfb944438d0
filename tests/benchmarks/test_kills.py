"""The short form of benchmarks/robustness/kills.py; the long one has fifty kills."""

import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.multiprocess]

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "robustness" / "kills.py"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--single=3", "--double=0", "--kinds=save,damage,term"),
        ("--single=0", "--double=1", "--kinds=kill"),
    ],
    ids=["one process", "two processes"],
)
def test_killed_and_killed_again_it_ends_the_same(arguments, tmp_path):
    result = subprocess.run(
        # Not the network is tested, and this one compiles in a tenth of the time.
        [
            sys.executable,
            SCRIPT,
            *arguments,
            f"--workdir={tmp_path}",
            "--set=model.net.implementation=tests.own_network:ThreeConvs",
        ],
        env={**os.environ, "PYTHONPATH": str(SCRIPT.parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert result.returncode == 0, result.stdout
    assert "identical" in result.stdout
