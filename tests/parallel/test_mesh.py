import dataclasses
import itertools

import jax
import numpy as np
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.parallel import mesh as mesh_lib
from bitdiff_jax.parallel.mesh import check_batch_size, make_mesh


@dataclasses.dataclass(frozen=True)
class FakeDevice:
    """What mesh building looks at."""

    id: int
    process_index: int
    slice_index: int = 0
    platform: str = "gpu"
    device_kind: str = "fake"


def devices_of(slices, processes, devices):
    """So many slices of so many processes of so many devices."""
    places = itertools.product(range(slices), range(processes), range(devices))
    return [FakeDevice(i, s * processes + p, s) for i, (s, p, _) in enumerate(places)]


def place(mesh, attribute):
    return [[getattr(d, attribute) for d in row] for row in mesh.devices]


def test_minus_one_is_what_is_left():
    devices = devices_of(1, 1, 8)
    assert make_mesh(devices=devices).shape == {"data": 8, "fsdp": 1}
    assert make_mesh(-1, 4, devices).shape == {"data": 2, "fsdp": 4}
    assert make_mesh(2, -1, devices).shape == {"data": 2, "fsdp": 4}


@pytest.mark.parametrize(
    ("data", "fsdp", "message"),
    [
        (3, -1, "data=3 x fsdp=-1, but the number of devices is 8"),
        (2, 2, "data=2 x fsdp=2, but the number of devices is 8"),
        (-1, -1, "only one of data and fsdp"),
        (0, -1, "use 1 or more"),
        (-2, -4, "use 1 or more"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(data, fsdp, message):
    with pytest.raises(InputError, match=message):
        make_mesh(data, fsdp, devices_of(1, 1, 8))


def test_fsdp_stays_within_a_slice():
    mesh = make_mesh(-1, 4, devices_of(2, 2, 4))
    assert mesh.shape == {"data": 4, "fsdp": 4}
    assert place(mesh, "slice_index") == [[0] * 4] * 2 + [[1] * 4] * 2
    assert place(mesh, "process_index") == [[i] * 4 for i in range(4)]
    over_hosts = make_mesh(-1, 8, devices_of(2, 2, 4))
    assert place(over_hosts, "slice_index") == [[0] * 8, [1] * 8]
    assert make_mesh(devices=devices_of(2, 2, 4)).shape == {"data": 16, "fsdp": 1}


def test_fsdp_over_slices_is_refused():
    with pytest.raises(InputError, match=r"fsdp=16 does not fit .* 2 slices of 8 devices"):
        make_mesh(-1, 16, devices_of(2, 2, 4))
    with pytest.raises(InputError, match=r"fsdp=24 does not fit .* 3 slices of 8 devices"):
        make_mesh(1, 24, devices_of(3, 2, 4))


def test_slices_of_unequal_size_are_refused():
    with pytest.raises(InputError, match="the 2 slices have 4, 8 devices"):
        make_mesh(devices=devices_of(2, 1, 8)[:12])


def test_devices_of_a_process_are_consecutive():
    """Also where the order by topology mixes the processes, as rows of a grid of 2 x 2 hosts do."""
    rows = [FakeDevice(i, 2 * (i // 8) + i % 4 // 2) for i in range(16)]
    assert [d.process_index for d in rows[:8]] == [0, 0, 1, 1, 0, 0, 1, 1]
    for fsdp in (1, 2, 4, 8):
        flat = make_mesh(-1, fsdp, rows).devices.flat
        assert [d.process_index for d in flat] == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    # What is in blocks already is left as it is, whatever the order of the blocks.
    swapped = devices_of(1, 2, 2)[2:] + devices_of(1, 2, 2)[:2]
    mesh = mesh_lib._in_blocks(np.asarray(swapped, object).reshape(4, 1))
    assert [d.process_index for d in mesh.devices.flat] == [1, 1, 0, 0]
    assert mesh_lib.process_block(mesh) == (1, 2)  # this is process 0


def test_a_single_process_is_the_whole_mesh():
    mesh = make_mesh(devices=jax.devices()[:1])
    assert mesh_lib.process_block(mesh) == (0, 1)
    assert mesh_lib.local_mesh(mesh) is mesh


def test_batches_divide_over_devices_and_parts():
    mesh = make_mesh(devices=devices_of(1, 1, 8))
    check_batch_size(16, mesh)
    check_batch_size(16, mesh, 2)
    with pytest.raises(InputError, match="batch_size=12 is not a multiple of the 8 devices; use 8"):
        check_batch_size(12, mesh)
    with pytest.raises(InputError, match=r"of the 8 devices x config.train.accumulate=3; use 24"):
        check_batch_size(16, mesh, 3)
    with pytest.raises(InputError, match="accumulate=0; use 1 or more"):
        check_batch_size(16, mesh, 0)
