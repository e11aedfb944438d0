"""Shared fixtures: golden vectors, real pictures, absl flags."""

import os
import pathlib
import tempfile

# Before jax is imported. Tests compile many small programs and run each a few times: compile
# quickly rather than well, and keep all programs, however small, for the other processes and the
# next run: without them this one takes twice the time.
os.environ["XLA_FLAGS"] = (
    f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0 "
    "--xla_llvm_disable_expensive_passes=true"
)
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", os.path.join(tempfile.gettempdir(), "bitdiff_jax_tests")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

import jax
import numpy as np
import pytest
from absl import flags

_MUCH = 2 << 30  # bytes
_HERE = pathlib.Path(__file__).resolve().parent
_SHARED = pathlib.Path(os.environ.get("BITDIFF_SHARED", _HERE.parent.parent / "shared"))


def pytest_configure() -> None:
    # grain reads absl flags; without this it raises UnparsedFlagAccessError under pytest.
    flags.FLAGS.mark_as_parsed()


@pytest.fixture(autouse=True, scope="module")
def _forget_programs():
    """Compiled programs would fill the memory of a test process, gigabytes by the end."""
    yield
    if _resident_bytes() > _MUCH:
        jax.clear_caches()


def _resident_bytes() -> float:
    """The memory that this process holds; infinite where the system does not tell."""
    try:
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return float("inf")
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="session")
def golden():
    """`golden(name)` loads the reference's vectors: the whole file, or the copied subset."""
    cache: dict[str, dict[str, np.ndarray]] = {}

    def load(name: str) -> dict[str, np.ndarray]:
        if name not in cache:
            candidates = [
                _SHARED / "reference" / "golden" / f"{name}.npz",
                _HERE / "golden" / f"{name}.npz",
            ]
            path = next((p for p in candidates if p.is_file()), None)
            if path is None:
                pytest.skip(
                    f"golden vectors {name}.npz are neither in {_SHARED} nor in tests/golden"
                )
            with np.load(path, allow_pickle=False) as file:
                cache[name] = dict(file)
        return cache[name]

    return load


@pytest.fixture(scope="session")
def real_data() -> pathlib.Path:
    """The folder of real segmented pictures, which the project does not redistribute."""
    path = _SHARED / "data"
    if not path.is_dir():
        pytest.skip(f"real pictures are not at {path}; set BITDIFF_SHARED to run this test")
    return path
