"""The table of accelerators is in itself consistent."""

import importlib.util
import re

import pytest

from bitdiff_jax.compile import accelerators, topology
from bitdiff_jax.compile.accelerators import ACCELERATORS, find
from bitdiff_jax.errors import InputError


@pytest.mark.parametrize("row", ACCELERATORS.values(), ids=lambda row: row.name)
def test_a_topology_has_as_many_chips_as_the_row_says(row):
    numbers = [int(n) for n in row.topology.split(":")[-1].split("x")]
    product = 1
    for n in numbers:
        product *= n
    assert product == row.devices
    if row.platform == "tpu":
        for along, bound in zip([*numbers, 1], row.host_bounds, strict=False):
            assert along % bound == 0
        count = int(row.name.rpartition("-")[2])
        cores = 2 if row.name.startswith("v5p") else 1
        assert row.devices * cores == count


@pytest.mark.parametrize("row", ACCELERATORS.values(), ids=lambda row: row.name)
def test_a_program_may_use_most_of_the_memory(row):
    assert 0.7 * row.chip.memory < row.chip.usable < row.chip.memory


def test_hosts():
    assert [find(f"v5e-{n}").hosts for n in (1, 4, 8, 16, 256)] == [1, 1, 1, 4, 64]
    assert find("v5p-16").hosts == 2 and find("h100-8").hosts == 1


def test_other_names():
    assert find("h100") == find("h100-1") and find("v5litepod-8") == find("v5e-8")


def test_an_unknown_name_tells_the_known_ones():
    with pytest.raises(InputError, match=r"'v5e-7' is not known; there are v5e-1, .*h100-8"):
        find("v5e-7")


def test_target_files_are_there_and_agree_with_the_table():
    for row in ACCELERATORS.values():
        if row.platform != "cuda":
            continue
        text = (accelerators.TARGETS / row.target).read_text()
        assert int(re.search(r"device_memory_size: (\d+)", text)[1]) == row.chip.memory
        bandwidth = int(re.search(r"memory_bandwidth: (\d+)", text)[1])
        assert bandwidth == pytest.approx(row.chip.bandwidth, rel=0.001)


def test_a_missing_compiler_is_told_with_the_remedy(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"v5e-8: its compiler .* pip install 'bitdiff_jax\[comp"):
        accelerators.require_compiler(find("v5e-8"))


def test_the_environment_of_a_compilation():
    base = {"HOME": "/h", "XLA_FLAGS": "--of_this_machine", "JAX_PLATFORMS": "tpu"}
    tpu = topology.environment(find("v5e-16"), base)
    assert tpu["HOME"] == "/h" and tpu["JAX_PLATFORMS"] == "cpu" and tpu["XLA_FLAGS"] == ""
    assert tpu["TPU_ACCELERATOR_TYPE"] == "v5litepod-16" and tpu["TPU_SKIP_MDS_QUERY"] == "1"
    cuda = topology.environment(find("h100"), base)
    assert cuda["XLA_FLAGS"] == "--xla_gpu_autotune_level=0" and "TPU_SKIP_MDS_QUERY" not in cuda
