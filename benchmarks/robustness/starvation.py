"""Trains on two CPU devices of two busy cores, and stops it again and again; it must never abort.

Each run is a start of the same small training, split over two devices (`mesh.fsdp=2`), beside
processes that keep the cores busy. It trains for a random time; then a random signal comes, and it
must end as asked: with exit code 75 and its state saved, or at once by SIGKILL. Every second run
has no more threads than cores, so that nothing but the limit on what is dispatched ahead keeps the
devices from starving each other; see `bitdiff_jax.parallel.dispatch`.

    python benchmarks/robustness/starvation.py                      # 50 runs
    python benchmarks/robustness/starvation.py --runs 2 --seconds 2 # what the test suite does
    python benchmarks/robustness/starvation.py --runs 4 --seconds 60 --unlimited

The last one takes the limits away, with which a training may abort: exit code -6, 40 seconds after
the start. It does so most on cores with little else to do (`--load 0`), and not in every run.
Half an hour on two cores.
"""

import argparse
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback

# Compile quickly rather than well, and only once.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", tempfile.mkdtemp(prefix="starvation_cache_"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")

# Imported once: each start below is a fork of this process, which must never touch a device.
from bitdiff_jax.cli import main as cli
from bitdiff_jax.cli import train  # noqa: F401
from bitdiff_jax.parallel import checksums
from bitdiff_jax.training import loop, setup  # noqa: F401

CORES = 2
SETTINGS = [
    "mesh.cpu_devices=2",
    "mesh.fsdp=2",
    "train.num_steps=1000000",
    "train.checkpoint_every=40",
    "train.log_every=1000",  # nothing that the log fetches keeps the host back
    "data.num_threads=1",
    "eval.data=",
]
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGKILL)
PATIENCE = 600  # seconds for a start, and for an end


def main() -> int:
    """Runs them, and tells how they ended."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20, help="a run's longest (20)")
    parser.add_argument("--load", type=int, default=CORES, help="busy processes beside it (2)")
    parser.add_argument("--seed", type=int, default=0, help="of signals and times")
    parser.add_argument("--unlimited", action="store_true", help="dispatch as far ahead as can be")
    parser.add_argument("--workdir", help="where to train; a temporary folder by default")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the training"
    )
    args = parser.parse_args()
    SETTINGS.extend(args.set)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    workdir = pathlib.Path(args.workdir or tempfile.mkdtemp(prefix="starvation_"))
    if args.unlimited:
        loop.steps_ahead = lambda mesh: sys.maxsize
        checksums._AHEAD = sys.maxsize
    rng = random.Random(args.seed)
    busy = [multiprocessing.Process(target=_burn, daemon=True) for _ in range(args.load)]
    for process in busy:
        process.start()
    bad = 0
    ends: list[float] = []
    try:
        for number in range(args.runs):
            few = args.unlimited or number % 2 == 1
            code, wanted, seconds, what = _run(workdir, few, rng, args.seconds)
            bad += code != wanted
            ends += [seconds] * (wanted == os.EX_TEMPFAIL)
            print(f"run {number + 1}/{args.runs}: {what}", flush=True)
    finally:
        for process in busy:
            process.kill()
    slowest = f"{sorted(ends)[len(ends) // 2]:.1f} s, at most {max(ends):.1f} s" if ends else "-"
    print(
        f"{bad} of {args.runs} runs ended otherwise than asked; from signal to end {slowest}; "
        f"{'FAILED, see ' + str(workdir) if bad else 'as it should be'}"
    )
    if not bad and not args.workdir:
        shutil.rmtree(workdir)
    return int(bad > 0)


def _run(
    workdir: pathlib.Path, few: bool, rng: random.Random, longest: float
) -> tuple[int, int, float, str]:
    """(exit code, the one it should be, seconds from the signal to the end, a line)."""
    number = rng.choice(SIGNALS)
    wanted = -signal.SIGKILL if number == signal.SIGKILL else os.EX_TEMPFAIL
    log = workdir / "log"
    workdir.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    pid = _fork(workdir, log, few)
    began = time.monotonic()
    has_begun = lambda: "loss" in log.read_text()  # noqa: E731
    code = _wait(pid, PATIENCE, has_begun)
    if code is None:
        code = _wait(pid, rng.uniform(0, longest))
    if code is None and not has_begun():  # a machine so busy proves nothing
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return 1, wanted, 0.0, f"no step within {PATIENCE} s"
    trained = time.monotonic() - began
    if code is None:
        os.kill(pid, number)
    sent = time.monotonic()
    if code is None:
        code = _wait(pid, PATIENCE)
    if code is None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        code = 1
        log.write_text(log.read_text() + "\nit hung")
    seconds = time.monotonic() - sent
    threads = f"{CORES} threads" if few else "threads for both"
    told = f"{number.name} after {trained:.0f} s, exit code {code} after {seconds:.1f} s, {threads}"
    if code != wanted:
        told += f", not {wanted}: {log.read_text().strip().splitlines()[-1:]}"
    return code, wanted, seconds, told


def _wait(pid: int, seconds: float, condition=lambda: False) -> int | None:
    """Exit code; None when the time is over or the condition holds before it ends."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not condition():
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    return None


def _fork(workdir: pathlib.Path, log: pathlib.Path, few: bool) -> int:
    if pid := os.fork():
        return pid
    code = 1
    try:
        if few:
            os.environ["PJRT_NPROC"] = str(CORES)
        file = os.open(log, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        flags = [f"--config.{setting}" for setting in SETTINGS]
        code = cli.main(["train", "--config=quickstart:smoke", f"--workdir={workdir}", *flags])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _burn() -> None:
    while True:
        sum(range(10_000))


if __name__ == "__main__":
    sys.exit(main())
