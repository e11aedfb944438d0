import ctypes
import subprocess
import sys

import pytest

from bitdiff_jax.cli import allocator

# A block of 64 MiB is written twice, freed in between; counts the second time's missing pages.
FAULTS = """
import ctypes, resource
from bitdiff_jax.cli import allocator
print(allocator.keep_memory())
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(1 << 26)
    ctypes.memset(block, 1, 1 << 26)
    libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def is_glibc():
    return hasattr(ctypes.CDLL(None), "gnu_get_libc_version")


def faults(monkeypatch, **environment):
    for name in allocator._VARIABLES + ("GLIBC_TUNABLES",):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    out = subprocess.check_output([sys.executable, "-c", FAULTS], text=True).split()
    return out[0] == "True", int(out[1])


@pytest.mark.skipif(not is_glibc(), reason="another C library")
def test_a_block_that_was_freed_is_there_again(monkeypatch):
    kept, count = faults(monkeypatch)
    assert kept and count < 100


@pytest.mark.skipif(not is_glibc(), reason="another C library")
@pytest.mark.parametrize(
    "environment",
    [
        {"MALLOC_MMAP_THRESHOLD_": "131072"},
        {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=131072"},
    ],
    ids=str,
)
def test_what_the_user_set_stays(monkeypatch, environment):
    kept, count = faults(monkeypatch, **environment)
    assert not kept and count > 1_000


def test_another_c_library_is_left_alone(monkeypatch):
    for name in allocator._VARIABLES + ("GLIBC_TUNABLES",):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert allocator.keep_memory() is False


@pytest.mark.parametrize(("platforms", "found"), [("cpu", True), ("tpu,cpu", False)])
def test_the_platform_that_was_asked_for(monkeypatch, platforms, found):
    monkeypatch.setenv("JAX_PLATFORMS", platforms)
    assert allocator.only_cpu() is found


def test_a_plugin_may_bring_an_accelerator(monkeypatch):
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    monkeypatch.setattr(allocator.metadata, "entry_points", lambda group: [])
    monkeypatch.setattr(allocator.importlib.util, "find_spec", lambda name: None)
    assert allocator.only_cpu()
    monkeypatch.setattr(allocator.importlib.util, "find_spec", lambda name: name == "libtpu")
    assert not allocator.only_cpu()
    monkeypatch.setattr(allocator.metadata, "entry_points", lambda group: ["xla_cuda12"])
    assert not allocator.only_cpu()
