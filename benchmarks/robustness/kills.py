"""Kills a small training again and again; it must end as if nothing had happened.

One training runs unbroken. Another is killed at random moments and started again by a small
supervisor: by SIGKILL, also while it starts, in the middle of a save, or followed by a byte changed
in its last checkpoint; by SIGTERM, SIGINT or SIGUSR1, after which it must end by itself with exit
code 75. With two processes the signal goes to one of them, and the supervisor ends the other one if
it does not end by itself. In the end parameters, their average, the optimizer's state, the step and
all logged losses must be the same, bit for bit.

    python benchmarks/robustness/kills.py                       # 30 kills of one process, 20 of two
    python benchmarks/robustness/kills.py --single 4 --double 1 # what the test suite does

Bit for bit holds between runs on the same devices, mesh, versions and flags, and is shown here on
CPU devices. Half an hour on two busy cores.
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback

# Compile quickly rather than well, and only once.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", tempfile.mkdtemp(prefix="stress_cache_"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")

# Imported once: each start below is a fork of this process, which must never touch a device.
import jax
import numpy as np

from bitdiff_jax import checkpoint, writers
from bitdiff_jax import config as config_lib
from bitdiff_jax.cli import main as cli
from bitdiff_jax.cli import train
from bitdiff_jax.parallel import hosts
from bitdiff_jax.parallel.partition_rules import path_name
from bitdiff_jax.training import loop, setup  # noqa: F401

EVERY = 3  # steps between checkpoints
STEPS_PER_KILL = 12  # no less than a start takes until it is killed, on average
SETTINGS = [
    "model.image_size=16",
    "model.net.base_channels=8",
    "model.net.channel_multipliers=(1,)",
    "train.batch_size=2",
    f"train.checkpoint_every={EVERY}",
    "train.log_every=1",
    "data.num_threads=1",
    "eval.data=",
]
GRACEFUL = {"term": signal.SIGTERM, "int": signal.SIGINT, "usr1": signal.SIGUSR1}
KINDS = ("kill", "start", "save", "damage", *GRACEFUL)
PATIENCE = 900  # seconds without a checkpoint


class Failed(Exception):
    """The run did not do what it should."""


def main() -> int:
    """Runs both legs."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` ends what it forked
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--single", type=int, default=30, help="kills of a run of one process")
    parser.add_argument("--double", type=int, default=20, help="kills of a run of two")
    parser.add_argument("--kinds", default=",".join(KINDS), help="of kills, taken in turn")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--workdir", help="where to train; a temporary folder by default")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the training"
    )
    args = parser.parse_args()
    SETTINGS.extend(args.set)
    root = pathlib.Path(args.workdir or tempfile.mkdtemp(prefix="stress_"))
    try:
        for count, kills in ((1, args.single), (2, args.double)):
            if kills:
                _leg(root / f"processes_{count}", count, kills, args.kinds.split(","), args.seed)
    except Failed as failure:
        print(f"FAILED: {failure}; see {root}", flush=True)
        return 1
    if not args.workdir:
        shutil.rmtree(root)
    return 0


def _leg(folder: pathlib.Path, count: int, kills: int, kinds: list[str], seed: int) -> None:
    rng = random.Random(f"{seed} {count}")
    total = STEPS_PER_KILL * kills + 2 * EVERY
    began = time.monotonic()
    damaged = 0
    with Run(folder / "unbroken", count, total) as whole:
        whole.start()
        if (codes := whole.wait()) != [0] * count:
            raise Failed(f"the unbroken run ended with {codes}")
    print(
        f"{count} process(es), {total} steps, unbroken: {time.monotonic() - began:.0f} s",
        flush=True,
    )
    with Run(folder / "broken", count, total) as broken:
        for number in range(kills):
            kind = kinds[number % len(kinds)]
            what = _kill_once(broken, kind, rng)
            if kind == "damage":
                what += f", {_damage(broken.last_folder(), rng)}"
                damaged += 1
            seconds = time.monotonic() - began
            print(f"  {seconds:.0f} s: kill {number + 1}/{kills}, {kind}: {what}", flush=True)
        broken.start()
        if (codes := broken.wait()) != [0] * count:
            raise Failed(f"the last start ended with {codes}")
    aside = len(list((broken.workdir / "quarantine").glob("*")))
    if aside != damaged:
        raise Failed(f"{damaged} checkpoints were damaged, {aside} set aside")
    leaves, losses = _compare(whole.workdir, broken.workdir)
    print(
        f"{count} process(es): {kills} kills, {aside} of {damaged} damaged checkpoints set aside; "
        f"{leaves} tensors and {losses} losses identical; {time.monotonic() - began:.0f} s",
        flush=True,
    )


def _kill_once(run: "Run", kind: str, rng: random.Random) -> str:
    """Starts the run, ends it by force or by request, and tells how that went."""
    before = run.last_step()
    run.start()
    victim = rng.randrange(run.count)
    if kind == "start":
        time.sleep(rng.uniform(0, 10))
    else:
        run.wait_for(lambda: run.last_step() > before + (kind == "damage") * EVERY)
        if kind == "save":
            run.wait_for(run.is_saving)
            time.sleep(rng.uniform(0, 0.05))
        else:
            step = run.last_step() + rng.randrange(2 * EVERY)
            run.wait_for(lambda: run.logged_step() >= step)
            time.sleep(rng.uniform(0, 0.05))
    run.signal(victim, GRACEFUL.get(kind, signal.SIGKILL))
    codes = run.wait(grace=PATIENCE if kind in GRACEFUL else 0.5)
    if 0 in codes:
        raise Failed("the run ended before it was killed; raise STEPS_PER_KILL")
    after = run.last_step()
    if kind in GRACEFUL:
        if codes != [os.EX_TEMPFAIL] * run.count:
            raise Failed(f"after {kind} to process {victim} the run ended with {codes}, not 75")
        if run.is_saving():
            raise Failed(f"after {kind} a save was left unfinished")
    return f"steps {before} to {after}, exit codes {codes}"


def _damage(folder: pathlib.Path, rng: random.Random) -> str:
    """Changes a byte of a tensor, of their index or of the JSON, or cuts such a file short."""
    files = [p for p in folder.rglob("*") if p.is_file()]
    index = [p for p in files if p.parent == folder / "state" / "d"]
    tensors = max(files, key=lambda p: p.stat().st_size)
    path = rng.choice([tensors, rng.choice(sorted(index)), folder / "about" / "metadata"])
    content = bytearray(path.read_bytes())
    place = rng.randrange(len(content) // 2)  # what is at the end of a file may be padding
    if rng.random() < 0.5:
        content[place] ^= 1 << rng.randrange(8)
        how = f"a bit of byte {place} flipped"
    else:
        content = content[:place]
        how = f"cut to {place} bytes"
    path.write_bytes(content)
    return f"then {path.relative_to(folder.parent)}: {how}"


class Run:
    """The processes of a training and their folder."""

    def __init__(self, workdir: pathlib.Path, count: int, total: int):
        self.workdir, self.count, self.total = workdir, count, total
        workdir.mkdir(parents=True)
        self._pids: list[int] = []
        self._codes: dict[int, int] = {}

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        for index, pid in enumerate(self._pids):
            if index not in self._codes:
                os.kill(pid, signal.SIGKILL)

    def start(self) -> None:
        """Forks its processes."""
        port, self._codes = _free_port(), {}
        self._pids = [self._fork(index, port) for index in range(self.count)]

    def _fork(self, index: int, port: int) -> int:
        if pid := os.fork():
            return pid
        code = 1
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            log = os.open(self.workdir / f"log_{index}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            if self.count > 1:
                where = ("explicit", f"127.0.0.1:{port}", self.count, index)
                hosts.initialize(hosts.Settings(*where))
            flags = ["--config=base:smoke", f"--workdir={self.workdir}", *_flags(self.total)]
            code = cli.main(["train", *flags])
            if self.count > 1:
                jax.distributed.shutdown()  # what the end of a process would do
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)

    def signal(self, index: int, number: int) -> None:
        """Sends a signal to one process."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pids[index], number)

    def wait(self, grace: float = float("inf")) -> list[int]:
        """Exit codes; minus the signal's number for those that died of one.

        Once one has died, the others get `grace` seconds, for they may wait for it for ever; if
        the one ended well, no limit.
        """
        deadline = None
        while len(self._codes) < self.count:
            self._poll()
            bad = [c for c in self._codes.values() if c != 0]
            if bad and deadline is None:
                deadline = time.monotonic() + min(grace, 60)
            if deadline and time.monotonic() > deadline:
                for index in range(self.count):
                    if index not in self._codes:
                        self.signal(index, signal.SIGKILL)
            time.sleep(0.01)
        return [self._codes[index] for index in range(self.count)]

    def _poll(self) -> None:
        for index, pid in enumerate(self._pids):
            if index not in self._codes:
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    self._codes[index] = os.waitstatus_to_exitcode(status)

    def wait_for(self, condition) -> None:
        """Until the condition holds, while the processes run."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self._poll()
            if self._codes:
                raise Failed(f"processes ended by themselves: {self._codes}, see {self.workdir}")
            if time.monotonic() > deadline:
                raise Failed(f"nothing happened for {PATIENCE} s in {self.workdir}")
            time.sleep(0.002)

    def last_step(self) -> int:
        """The last step whose folder has its final name; 0 without one."""
        with contextlib.suppress(FileNotFoundError):
            names = os.listdir(self.workdir / "checkpoints")
            return max((int(name) for name in names if name.isdigit()), default=0)
        return 0

    def logged_step(self) -> int:
        """The last step that this start has logged; 0 before the first."""
        part = max((self.workdir / "metrics").glob("*.jsonl"))
        lines = part.read_text().split("\n")[:-1]  # the last one may be half written
        return json.loads(lines[-1])["step"] if lines else 0

    def last_folder(self) -> pathlib.Path:
        """The folder of that step."""
        return self.workdir / "checkpoints" / str(self.last_step())

    def is_saving(self) -> bool:
        """Whether a step is half written."""
        with contextlib.suppress(FileNotFoundError):
            return any("tmp" in name for name in os.listdir(self.workdir / "checkpoints"))
        return False


def _flags(total: int) -> list[str]:
    return [f"--config.{setting}" for setting in (*SETTINGS, f"train.num_steps={total}")]


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def _compare(whole: pathlib.Path, broken: pathlib.Path) -> tuple[int, int]:
    """Numbers of tensors and losses, all of them equal."""
    one, other = _tensors(whole), _tensors(broken)
    if one.keys() != other.keys():
        raise Failed(f"other tensors: {sorted(one.keys() ^ other.keys())[:3]}")
    for name, value in one.items():
        if value.tobytes() != other[name].tobytes():
            raise Failed(f"{name} differs")
    losses = [
        {row["step"]: row["loss"] for row in writers.read_metrics(folder) if "loss" in row}
        for folder in (whole, broken)
    ]
    if losses[0] != losses[1]:
        steps = sorted(s for s in losses[0] if losses[0][s] != losses[1].get(s))
        raise Failed(f"the losses of steps {steps[:5]} differ")
    return len(one), len(losses[0])


def _tensors(workdir: pathlib.Path) -> dict[str, np.ndarray]:
    """The last state, as numpy arrays by name. In a process of its own: it touches devices."""
    path = workdir / "tensors.npz"
    if not (pid := os.fork()):
        code = 1
        try:
            checkpoints, step = checkpoint.open_for_reading(workdir)
            config = train.override(config_lib.load("base:smoke"), _flags(step))
            with checkpoints:
                state = checkpoints.restore(step, setup.prepare(config).abstract_state)
            leaves = jax.tree_util.tree_leaves_with_path(state)
            np.savez(path, **{path_name(key): np.asarray(leaf) for key, leaf in leaves})
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    if os.waitpid(pid, 0)[1]:
        raise Failed(f"the last checkpoint in {workdir} cannot be read")
    with np.load(path) as file:
        return dict(file)


if __name__ == "__main__":
    sys.exit(main())
