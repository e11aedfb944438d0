"""What small programs cost by the compiler's own count, against what they did cost.

    python -m benchmarks.predicted.counts               # compares with tests/compile/counts.json
    python -m benchmarks.predicted.counts --update  # stores what is found

The training step and the sampler of small configs are compiled for the CPU: FLOPs and bytes by
`cost_analysis` (loops run once), temporaries by `memory_analysis`. The figures are those of one
version of jax and jaxlib on one architecture. There they are the same on any machine: a process of
its own, one device, one thread, no instruction set beyond AVX2, no cache.
"""

import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

STORED = pathlib.Path(__file__).resolve().parents[2] / "tests" / "compile" / "counts.json"
BATCH = 4
CONFIGS = ("base:smoke", "quickstart")
# Relative, by figure: arithmetic is what the program says; what is fused, and so what is moved and
# kept, may shift with a constant.
TOLERANCES = {"flops": 0.001, "bytes": 0.02, "temporaries": 0.02}
ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "JAX_NUM_CPU_DEVICES": "1",
    "JAX_ENABLE_COMPILATION_CACHE": "false",  # a program from there has no count
    "JAX_ENABLE_X64": "false",
    # The last two save half of the time: nothing runs, and they change machine code alone.
    "XLA_FLAGS": (
        "--xla_cpu_max_isa=AVX2 --xla_backend_optimization_level=0 "
        "--xla_llvm_disable_expensive_passes=true"
    ),
    "NPROC": "1",
}

Cost = dict[str, dict[str, float]]


def versions() -> dict[str, str]:
    """The compiler, and the architecture, that figures are of."""
    import jax
    import jaxlib

    return {
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "architecture": platform.machine(),
    }


def count() -> Cost:
    """Compiles each program in a process of its own; name -> figures.

    Raises:
        RuntimeError: it broke down.
    """
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.predicted.counts", "--here"],
        env={**os.environ, **ENVIRONMENT},
        cwd=STORED.parents[2],
        capture_output=True,
        text=True,
    )
    if run.returncode:
        raise RuntimeError(f"counting broke down: {run.stderr[-2000:]}")
    return json.loads(run.stdout.splitlines()[-1])


def count_here() -> Cost:
    """Compiles each program in this process."""
    import jax

    from bitdiff_jax import config as config_lib
    from bitdiff_jax.compile import lowering

    found = {}
    for name in CONFIGS:
        config = config_lib.load(name)
        for program in lowering.PROGRAMS:
            lowered = lowering.lower(program, config, jax.devices(), BATCH)
            compiled = lowered.compile()
            cost: Any = compiled.cost_analysis()
            memory: Any = compiled.memory_analysis()
            found[f"{name} {program}"] = {
                "flops": cost["flops"],
                "bytes": cost["bytes accessed"],
                "temporaries": memory.temp_size_in_bytes,
            }
    return found


def differences(found: Cost, stored: Mapping[str, Any]) -> list[str]:
    """What is outside the tolerances, a line each."""
    known: Cost = stored["programs"]
    lines = [
        f"{name}: {figure} {each[figure]:,.0f}, stored are {known[name][figure]:,.0f} "
        f"({each[figure] / known[name][figure] - 1:+.2%}, allowed is {allowed:.1%})"
        for name, each in found.items()
        if name in known
        for figure, allowed in TOLERANCES.items()
        if abs(each[figure] - known[name][figure]) > allowed * known[name][figure]
    ]
    lines += [f"{name}: found, but not stored" for name in found if name not in known]
    lines += [f"{name}: stored, but not found" for name in known if name not in found]
    return lines


def main(argv: list[str] | None = None) -> int:
    """Compares or stores; 1 if something differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--update", action="store_true", help="store what is found")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.here:
        print(json.dumps(count_here()))
        return 0
    found = count()
    for name, each in found.items():
        print(name, *(f"{figure} {value:,.0f}" for figure, value in each.items()), sep="  ")
    stored = json.loads(STORED.read_text()) if STORED.is_file() else {"programs": {}}
    if args.update:
        new = {"versions": versions(), "batch": BATCH, "programs": found}
        STORED.write_text(json.dumps(new, indent=1) + "\n")
        return 0
    if stored.get("versions") != versions():
        print(f"stored are figures of {stored.get('versions')}, here is {versions()}")
    lines = differences(found, stored)
    print("\n".join(lines) or "as stored")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
