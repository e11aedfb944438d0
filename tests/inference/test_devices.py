"""The number of devices changes nothing: eight fake ones, in a process of their own."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.inference import tiny

pytestmark = [pytest.mark.slow, pytest.mark.multiprocess]

_PROGRAM = """
import sys
import jax, numpy as np
from bitdiff_jax.inference import Segmenter, programs
from tests.inference import tiny

assert jax.local_device_count() == 8
segmenter = Segmenter.from_checkpoint(sys.argv[1])
images = [tiny.image(40, 60), tiny.image(17, 9, seed=1), tiny.image(33, 33, seed=2)]
results = segmenter.segment_batch(images, 4, 2, batch_size=6)
assert programs.num_compiled() == 1
np.savez(sys.argv[2], *[result.codes for result in results])
"""


def test_eight_devices_draw_what_one_draws(workdir, segmenter, tmp_path):
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
    }
    run = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(workdir), str(tmp_path / "eight.npz")],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    images = [tiny.image(40, 60), tiny.image(17, 9, seed=1), tiny.image(33, 33, seed=2)]
    results = segmenter.segment_batch(images, 4, 2, batch_size=4)
    with np.load(tmp_path / "eight.npz") as eight:
        for result, codes in zip(results, eight.values(), strict=True):
            np.testing.assert_array_equal(codes, result.codes)
