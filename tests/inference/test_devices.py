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


_PLACES = """
import jax, numpy as np
from bitdiff_jax import model_config
from bitdiff_jax.inference import placement
from bitdiff_jax.parallel import mesh as mesh_lib
from tests.test_image_features import tiny_config

model, mesh = model_config.from_config(tiny_config()), mesh_lib.make_mesh(data=2, fsdp=4)
first, values = mesh.devices.flat[0], np.arange(8.0, dtype=np.float32)
for sharding in (
    None,
    jax.sharding.SingleDeviceSharding(jax.devices()[3]),
    mesh_lib.replicated(mesh),
    jax.sharding.NamedSharding(mesh, jax.P("fsdp")),
):
    given = values if sharding is None else jax.device_put(values, sharding)
    params = {"net": {"kernel": given}, "encoder": {"gain": given}}
    for _ in range(2):  # what is there stays there
        params = placement.placed(model, params, mesh)
        assert params["net"]["kernel"].sharding == mesh_lib.replicated(mesh), sharding
        assert params["encoder"]["gain"].devices() == {first}, sharding
        for leaf in jax.tree.leaves(params):
            np.testing.assert_array_equal(leaf, values)
"""


def run_on_eight(program, *arguments):
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
    }
    run = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr


def test_eight_devices_draw_what_one_draws(workdir, segmenter, tmp_path):
    run_on_eight(_PROGRAM, str(workdir), str(tmp_path / "eight.npz"))
    images = [tiny.image(40, 60), tiny.image(17, 9, seed=1), tiny.image(33, 33, seed=2)]
    results = segmenter.segment_batch(images, 4, 2, batch_size=4)
    with np.load(tmp_path / "eight.npz") as eight:
        for result, codes in zip(results, eight.values(), strict=True):
            np.testing.assert_array_equal(codes, result.codes)


def test_of_an_encoder_there_is_one_copy():
    run_on_eight(_PLACES)
