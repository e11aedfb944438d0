"""One compilation, in a process of its own: `python -m bitdiff_jax.compile.worker REQUEST RESULT`.

The request is a JSON file (`remote.Request`); the result is one too, what the compiler said
(`Measured`) or an error's line. The text of the compiled program lies beside it, compressed.
"""

import dataclasses
import datetime
import gzip
import hashlib
import importlib.metadata
import json
import pathlib
import re
import sys
import time
from typing import Any

import jax
import ml_collections

from bitdiff_jax.compile import accelerators, lowering, topology
from bitdiff_jax.errors import InputError

_PACKAGES = {
    "tpu": ("jax", "jaxlib", "libtpu"),
    "cuda": (
        "jax", "jaxlib", "jax-cuda12-pjrt", "jax-cuda13-pjrt", "nvidia-cuda-nvcc-cu12",
        "nvidia-cudnn-cu12",
    ),
}  # fmt: skip
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def main(argv: list[str]) -> int:
    """Compiles what the request says."""
    request_path, result_path = map(pathlib.Path, argv)
    request = json.loads(request_path.read_text())
    try:
        result = run(request)
    except InputError as error:
        result = {"error": str(error)}
    result_path.write_text(json.dumps(result))
    return 0


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Lowers, looks whether this very program was compiled before, and compiles it if not.

    Args:
        request: the fields of `remote.Request`.

    Returns:
        The fields of `remote.Measured`.
    """
    accelerator = accelerators.find(request["accelerator"])
    config = ml_collections.ConfigDict(request["config"])
    devices = topology.devices(accelerator)
    start = time.monotonic()
    lowered = lowering.lower(request["program"], config, devices, request["batch_size"])
    lower_seconds = time.monotonic() - start

    versions = _versions(accelerator.platform)
    key = _key(lowered, accelerator, versions)
    stem = pathlib.Path(request["folder"]) / key
    if (known := stem.with_suffix(".json")).is_file():
        return {**json.loads(known.read_text()), "cached": True}
    if request["only_cached"]:
        return {"error": "not compiled yet"}

    measured: dict[str, Any] = {
        "program": request["program"],
        "accelerator": accelerator.name,
        "batch_size": request["batch_size"],
        "key": key,
        "versions": versions,
        "date": datetime.date.today().isoformat(),
        "lower_seconds": lower_seconds,
    }
    start, cpu_start = time.monotonic(), time.process_time()
    try:
        compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        needed = memory_needed(str(error))
        if needed is None:
            raise
        measured["out_of_memory"] = needed
    measured["compile_seconds"] = time.monotonic() - start
    measured["compile_cpu_seconds"] = time.process_time() - cpu_start
    if "out_of_memory" not in measured:
        measured["memory"] = _memory(compiled)
        measured["xla"] = _cost(compiled)
        with gzip.open(stem.with_suffix(".hlo.gz"), "wt") as file:
            file.write(compiled.as_text() or "")
    partial = stem.with_suffix(".tmp")
    partial.write_text(json.dumps(measured, indent=2))
    partial.replace(known)
    return {**measured, "cached": False}


def memory_needed(message: str) -> int | None:
    """Bytes that a program would take, from the compiler's word that they are too many.

    None if the message is of something else. It comes in two forms: 'Used 20.1G of 15.75G hbm',
    and 'memory required for HLO temporaries (20.1G) exceeds available HBM (15.75G)'.
    """
    found = re.search(r"Used ([\d.]+)([KMGT]?) of [\d.]+[KMGT]? hbm", message) or re.search(
        r"temporaries \(([\d.]+)([KMGT]?)\) exceeds available HBM", message
    )
    return int(float(found[1]) * _UNITS[found[2]]) if found else None


def _versions(platform: str) -> dict[str, str]:
    found = {}
    for name in _PACKAGES[platform]:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _key(
    lowered: jax.stages.Lowered, accelerator: accelerators.Accelerator, versions: dict[str, str]
) -> str:
    """Hash of the program as JAX hands it over, the machine and the compiler's versions."""
    digest = hashlib.sha256()
    for part in (lowered.as_text(), json.dumps(versions, sort_keys=True)):
        digest.update(part.encode())
    digest.update(json.dumps(dataclasses.asdict(accelerator), sort_keys=True).encode())
    return digest.hexdigest()[:24]


def _memory(compiled: jax.stages.Compiled) -> dict[str, int]:
    stats: Any = compiled.memory_analysis()
    names = {
        "arguments": "argument_size_in_bytes",
        "outputs": "output_size_in_bytes",
        "aliased": "alias_size_in_bytes",
        "temporaries": "temp_size_in_bytes",
        "code": "generated_code_size_in_bytes",
        "peak": "peak_memory_in_bytes",
    }
    return {name: int(getattr(stats, field, 0)) for name, field in names.items()}


def _cost(compiled: jax.stages.Compiled) -> dict[str, float] | None:
    """XLA's own count, where the plugin hands it over."""
    cost: Any = compiled.cost_analysis()
    if isinstance(cost, list):
        cost = cost[0] if cost else None
    if not cost or "flops" not in cost:
        return None
    return {"flops": float(cost["flops"]), "bytes": float(cost["bytes accessed"])}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
