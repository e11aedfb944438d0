"""Seconds to compile the training step and the sampler: cold, and from the cache on disk.

    python -m benchmarks.against_peers.compile_time                   # the paper's, batches 2 and 1
    python -m benchmarks.against_peers.compile_time --program train --batch_size 8

Each compilation has a process of its own. `cold` starts with an empty cache and fills it; `cached`
is the next start, which finds it. `trace` is Python's part, from the functions to StableHLO;
`compile` is XLA's, or the loading. `first call` is what a user waits for: both, jax's own start
left out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks.against_peers import machine, paired, problem
from bitdiff_jax.cli import allocator
from bitdiff_jax.errors import InputError

TARGET = 30.0  # seconds to compile, cold
BATCH_SIZES = {"train": 2, "sample": 1}


def measure(
    config: str, program: str, batch_size: int, implementation: str = "auto"
) -> dict[str, Any]:
    """Compiles in this process, which must not have compiled before."""
    import jax

    from bitdiff_jax.compile import lowering
    from bitdiff_jax.parallel import compilation_cache

    compilation_cache.enable()
    settings = problem.config(config, implementation)
    if settings.mesh.cpu_devices > 1 and program == "train":
        jax.config.update("jax_num_cpu_devices", settings.mesh.cpu_devices)
    devices = jax.devices() if program == "train" else jax.devices()[:1]
    began = time.perf_counter()
    lowered = lowering.lower(program, settings, devices, batch_size)
    traced = time.perf_counter()
    lowered.compile()
    done = time.perf_counter()
    return {
        "trace": traced - began,
        "compile": done - traced,
        "first call": done - began,
        "peak_bytes": machine.peak_bytes(),
    }


def in_a_process(
    config: str, program: str, batch_size: int, cache: str, *more: str
) -> dict[str, Any]:
    """`measure` in a process of its own, with a folder for the cache."""
    environment = {name: v for name, v in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.against_peers.compile_time", "--config", config]
        + ["--program", program, "--batch_size", str(batch_size), "--here", *more],
        env=environment | {"PYTHONPATH": paired.python_path(), "BITDIFF_CACHE_DIR": cache},
        stdout=subprocess.PIPE,
        text=True,
    )
    if run.returncode:
        raise InputError(f"--program {program}: the compilation ended with {run.returncode}")
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Reads the flags, compiles, prints the table, writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--config", default="paper", help="whose programs (paper)")
    add("--program", choices=BATCH_SIZES, nargs="+", default=list(BATCH_SIZES))
    add("--batch_size", type=int, help="rows (2 for train, 1 for sample)")
    add("--implementation", default="auto", help="of the network: auto, plain or fused (auto)")
    add("--here", action="store_true", help=argparse.SUPPRESS)
    paired.add_options(parser, rounds=1)
    args = parser.parse_args()
    if args.here:
        if not args.default_allocator and allocator.only_cpu():
            allocator.keep_memory()
        found = measure(args.config, args.program[0], args.batch_size, args.implementation)
        print(json.dumps(found))
        return
    about = paired.check_idle(args.anyway)
    mark = "" if about["idle"] else "  ** NOT IDLE, measured anyway **"
    print(f"{about['processor']}, {about['cores']} cores{mark}; wanted: {TARGET:g} s cold")
    print(f"{'':24}{'trace':>9}{'compile':>9}{'first call':>12}{'peak MiB':>10}")
    rows: list[dict[str, Any]] = []
    more = ["--implementation", args.implementation]
    more += ["--default_allocator"] if args.default_allocator else []
    for program in args.program:
        batch_size = args.batch_size or BATCH_SIZES[program]
        for _ in range(args.rounds):
            with tempfile.TemporaryDirectory() as cache:
                for state in ("cold", "cached"):
                    found = in_a_process(args.config, program, batch_size, cache, *more)
                    name = f"{args.config} {program} {batch_size} {state}"
                    peak = found["peak_bytes"] or 0
                    print(
                        f"{name:24}{found['trace']:8.1f}s{found['compile']:8.1f}s"
                        f"{found['first call']:11.1f}s{peak / 2**20:10.0f}",
                        flush=True,
                    )
                    rows.append({"name": name, "state": state, **found})
    paired.write(args.json, [{"title": "compilation", "machine": about, "rows": rows}])


if __name__ == "__main__":
    paired.run(main)
