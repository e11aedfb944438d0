"""Ours against peers, in alternating runs: what all benchmarks of this folder share.

Each peer lives in a process of its own, started with the same environment and the same settings of
the allocator. All are warmed up, then take turns: a round is one run of each, in the order of the
round before turned around, and only one works at a time. A ratio is of two runs of one round, so
that a machine that grows slower slows both; the median of the rounds is shown with the least and
the largest.

A machine on which others work measures nothing: the harness refuses to start there, by the cores
that are kept busy over a second, not by the load average, which is slow to forget. Work that
starts later shows in the row "others". `--anyway` measures all the same, and says so.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.against_peers import machine
from bitdiff_jax.errors import InputError

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUSY_CORES = 0.15  # of others, above which nothing is measured


@dataclasses.dataclass(frozen=True)
class Peer:
    """One of those that are compared.

    Attributes:
        name: in the table.
        build: 'module:function'; called in the peer's process, it returns a `worker.Ready`.
        arguments: of the function; what JSON can hold.
        iterations: a run, at least.
    """

    name: str
    build: str
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    iterations: int = 1


@dataclasses.dataclass
class Timing:
    """What was measured of a peer.

    Attributes:
        name: the peer's.
        seconds: of each iteration, one list a round.
        peak: largest resident set in the rounds, bytes; None where the system does not tell.
        start_peak: the same up to the end of the warm-up, compilation included.
        start_seconds: until the end of the warm-up.
        others: cores that other processes kept busy, of each round.
        notes: the peer's own.
    """

    name: str
    start_peak: int | None
    start_seconds: float
    notes: str
    seconds: list[list[float]] = dataclasses.field(default_factory=list)
    others: list[float] = dataclasses.field(default_factory=list)
    peak: int | None = None

    @property
    def rounds(self) -> list[float]:
        """The median iteration of each round."""
        return [statistics.median(seconds) for seconds in self.seconds]

    @property
    def median(self) -> float:
        """Seconds: the median of the rounds."""
        return statistics.median(self.rounds)


@dataclasses.dataclass(frozen=True)
class Ratio:
    """Ours over a peer, round by round."""

    peer: str
    median: float
    low: float
    high: float


def ratio(ours: Timing, peer: Timing) -> Ratio:
    """Of the medians of each round."""
    paired = [a / b for a, b in zip(ours.rounds, peer.rounds, strict=True)]
    return Ratio(peer.name, statistics.median(paired), min(paired), max(paired))


def check_idle(anyway: bool, seconds: float = 1.0) -> dict[str, Any]:
    """Refuses a machine on which others work.

    Returns:
        What a result tells of it.

    Raises:
        InputError: others keep more than `BUSY_CORES` busy, or nobody knows, and not `anyway`.
    """
    found = machine.others(seconds)
    if not anyway:
        if found is None:
            raise InputError("/proc/stat does not tell whether others work here; give --anyway")
        if found > BUSY_CORES:
            raise InputError(
                f"other processes keep {found:.2f} cores busy (more than {BUSY_CORES}): end or "
                "stop them, or give --anyway, and the result will say so"
            )
    idle = found is not None and found <= BUSY_CORES
    return machine.describe() | {"others_before": found, "idle": idle, "anyway": anyway}


class Process:
    """A peer's process; `start` it, then `wait_until_ready`, then `run` it."""

    def __init__(self, peer: Peer, *, warmup: int = 1, allocator: bool = True):
        request = {
            "build": peer.build,
            "arguments": dict(peer.arguments),
            "warmup": warmup,
            "allocator": allocator,
        }
        self.peer = peer
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.against_peers.worker", json.dumps(request)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": python_path()},
        )

    def wait_until_ready(self) -> Timing:
        """Until the warm-up is over."""
        said = self._answer()
        return Timing(self.peer.name, said["start_peak"], said["start_seconds"], said["notes"])

    def run(self, timing: Timing, least_seconds: float) -> None:
        """One run of at least so many seconds, added to `timing`."""
        assert self._process.stdin is not None
        own, busy, start = self._cpu(), machine.busy_seconds(), time.monotonic()
        print(self.peer.iterations, least_seconds, file=self._process.stdin, flush=True)
        said = self._answer()
        passed, after = time.monotonic() - start, machine.busy_seconds()
        timing.seconds.append(said["seconds"])
        timing.peak = said["peak"]
        if busy is not None and after is not None:
            spent = after - busy - (self._cpu() - own)
            timing.others.append(max(0.0, spent / passed))

    def end(self) -> None:
        """Ends it, whatever it does."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _cpu(self) -> float:
        return machine.cpu_seconds(self._process.pid)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        said = json.loads(line) if line else {"error": f"it ended with {self._process.wait()}"}
        if "error" in said:
            raise InputError(f"peer {self.peer.name!r}: {said['error']}")
        return said


def measure(
    peers: Sequence[Peer],
    *,
    rounds: int,
    settle: float,
    least_seconds: float,
    warmup: int = 1,
    allocator: bool = True,
) -> list[Timing]:
    """Runs the peers in turn.

    Args:
        peers: ours first.
        rounds: runs of each.
        settle: seconds between two runs, in which threads that wait for work give up waiting.
        least_seconds: of a run: short iterations are repeated.
        warmup: iterations of each before the first round.
        allocator: let the peers' allocators keep memory, as `bitdiff` does.

    Raises:
        InputError: a peer cannot be built, or ended.
    """
    with contextlib.ExitStack() as stack:
        processes, timings = [], []
        for peer in peers:  # one by one: a warm-up is a time when a peer chooses what is faster
            process = Process(peer, warmup=warmup, allocator=allocator)
            stack.callback(process.end)
            processes.append(process)
            timings.append(process.wait_until_ready())
        for number in range(rounds):
            for place in range(len(peers))[:: -1 if number % 2 else 1]:
                time.sleep(settle)
                processes[place].run(timings[place], least_seconds)
    return timings


def python_path() -> str:
    """PYTHONPATH of a peer: this checkout first, so that it is this code that is measured."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join([str(ROOT), *filter(None, given)])


def add_options(parser: argparse.ArgumentParser, *, rounds: int) -> None:
    """The options of every benchmark."""
    add = parser.add_argument
    add("--rounds", type=int, default=rounds, help=f"runs of each peer ({rounds})")
    add("--json", type=pathlib.Path, help="file to write everything to")
    add("--anyway", action="store_true", help="measure on a busy machine; the result says so")
    add(
        "--default_allocator",
        action="store_true",
        help="leave the allocator as it is, instead of as `bitdiff` sets it, for all peers",
    )


def compare(
    title: str,
    peers: Sequence[Peer],
    args: argparse.Namespace,
    *,
    scale: float = 1.0,
    unit: str = "ms",
    target: float | None = None,
    warmup: int = 1,
    settle: float = 0.3,
    least_seconds: float = 0.5,
) -> dict[str, Any]:
    """Measures, prints the table, and returns what `write` writes.

    Args:
        title: of the table.
        peers: ours first.
        args: with the options of `add_options`.
        scale: figures a second of an iteration; with 1000 / batch, milliseconds a picture.
        unit: their name.
        target: the ratio of ours to the first peer after it that we want at most.
        warmup: see `measure`.
        settle: see `measure`.
        least_seconds: see `measure`.
    """
    if args.rounds < 1:
        raise InputError(f"--rounds={args.rounds}: give 1 or more")
    about = check_idle(args.anyway)
    timings = measure(
        peers,
        rounds=args.rounds,
        warmup=warmup,
        allocator=not args.default_allocator,
        settle=settle,
        least_seconds=least_seconds,
    )
    result = {
        "title": title,
        "machine": about,
        "allocator": "default" if args.default_allocator else "keeps memory",
        "unit": unit,
        "peers": [_as_json(timing, scale) for timing in timings],
        "ratios": [dataclasses.asdict(ratio(timings[0], peer)) for peer in timings[1:]],
        "target": target,
    }
    print("\n".join(table(result)), flush=True)
    return result


def table(result: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a result."""
    about = result["machine"]
    before = about["others_before"]
    busy = "unknown" if before is None else f"{before:.2f} cores"
    note = "" if about["idle"] else "  ** NOT IDLE, measured anyway **"
    yield f"\n{result['title']}"
    yield (
        f"{about['processor']}, {about['cores']} cores; others before: {busy}{note}; "
        f"allocator: {result['allocator']}"
    )
    width = max(len(peer["name"]) for peer in result["peers"])
    heads = f"{result['unit']:>12} {'least':>9} {'most':>9} {'peak MiB':>9} {'others':>7}"
    yield f"{'':{width}} {heads}"
    for peer in result["peers"]:
        peak = "" if peer["peak_bytes"] is None else f"{peer['peak_bytes'] / 2**20:.0f}"
        others = f"{max(peer['others']):.2f}" if peer["others"] else ""
        yield (
            f"{peer['name']:{width}} {peer['median']:12.3f} {min(peer['rounds']):9.3f} "
            f"{max(peer['rounds']):9.3f} {peak:>9} {others:>7}  {peer['notes']}"
        )
    for place, found in enumerate(result["ratios"]):
        goal = result["target"] if place == 0 else None
        held = "" if goal is None else f"  (wanted: at most {goal:g})"
        yield (
            f"ours / {found['peer']}: {found['median']:.3f} "
            f"[{found['low']:.3f}, {found['high']:.3f}]{held}"
        )


def write(path: pathlib.Path | None, results: Sequence[Mapping[str, Any]]) -> None:
    """Writes results as JSON, if there is a place for them."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(list(results), indent=1) + "\n")


def run(main: Any) -> None:
    """Runs a benchmark's main function; what the user can mend is one line and exit code 2."""
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _as_json(timing: Timing, scale: float) -> dict[str, Any]:
    return {
        "name": timing.name,
        "median": timing.median * scale,
        "rounds": [seconds * scale for seconds in timing.rounds],
        "peak_bytes": timing.peak,
        "start_peak_bytes": timing.start_peak,
        "start_seconds": timing.start_seconds,
        "others": timing.others,
        "seconds": timing.seconds,
        "notes": timing.notes,
    }
