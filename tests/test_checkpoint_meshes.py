"""A checkpoint is read on another mesh than it was written on, and verified there."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.checkpoint import Checkpoints, restore_last_good
from tests.test_checkpoint import abstract

pytestmark = pytest.mark.multiprocess

_EIGHT = """
import sys
import jax, numpy as np
from bitdiff_jax.checkpoint import Checkpoints, restore_last_good
from bitdiff_jax.parallel import mesh as mesh_lib
from bitdiff_jax.parallel.checksums import checksums
from tests.test_checkpoint_meshes import state

mesh = mesh_lib.make_mesh(4, 2)
assert mesh.size == 8
place = dict(
    rows=jax.NamedSharding(mesh, jax.P("fsdp")),
    columns=jax.NamedSharding(mesh, jax.P(None, ("data", "fsdp"))),
    whole=jax.NamedSharding(mesh, jax.P()),
)
as_shape = lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s)
wanted = jax.tree.map(as_shape, state(), place)
with Checkpoints(sys.argv[1]) as checkpoints:  # of one device
    step, got = restore_last_good(checkpoints, wanted)
    assert step == 1
for name, value in state().items():
    np.testing.assert_array_equal(got[name], value)
    assert got[name].sharding == place[name]
assert checksums(got) == checksums(state())
with Checkpoints(sys.argv[2]) as checkpoints:
    checkpoints.save(2, got, {})
"""


def state():
    x = jax.random.normal(jax.random.key(1), (8, 16))
    return {"rows": x, "columns": x.astype(jnp.bfloat16), "whole": jnp.arange(3)}


def test_one_device_to_eight_and_back(tmp_path):
    one, eight = tmp_path / "one", tmp_path / "eight"
    with Checkpoints(one) as checkpoints:
        checkpoints.save(1, state(), {})
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8"
    env = os.environ | {"XLA_FLAGS": flags}
    subprocess.run([sys.executable, "-c", _EIGHT, str(one), str(eight)], env=env, check=True)
    with Checkpoints(eight) as checkpoints:
        step, got = restore_last_good(checkpoints, abstract(state()))
    assert step == 2
    for name, value in state().items():
        np.testing.assert_array_equal(got[name], value)
