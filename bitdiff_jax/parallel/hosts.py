"""Several processes that train or evaluate together: how they find and join each other."""

import contextlib
import dataclasses
import glob
import importlib.util
import os
import pickle
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging
from jax._src import distributed as jax_distributed
from jax.experimental import multihost_utils

from bitdiff_jax.errors import InputError
from bitdiff_jax.parallel import aborts

_CLUSTERS = ("auto", "none", "explicit", "slurm", "tpu")
LOST = 69  # EX_UNAVAILABLE: the exit code of a process that another one left alone
# Words of the errors that jax raises when another process does not answer.
_SIGNS = re.compile(r"gloo|nccl|connection|socket|heartbeat|unavailable|coordination", re.I)


@dataclasses.dataclass(frozen=True)
class Settings:
    """The `hosts` part of a config; see `find` for how the first four work together.

    Attributes:
        cluster: where the process's place comes from: 'explicit' (these settings, or the
            environment), 'slurm', 'tpu', 'none' for one process alone, or 'auto' for the first of
            them that is there.
        coordinator: host:port of process 0, reachable by all; '' takes $JAX_COORDINATOR_ADDRESS.
        num_processes: number of processes; 0 takes $JAX_NUM_PROCESSES.
        process_id: number of this process, from 0; -1 takes $JAX_PROCESS_ID, or
            $JOB_COMPLETION_INDEX, which Kubernetes sets in the pods of an indexed Job or JobSet.
        start_timeout: seconds in which all processes have to arrive.
        heartbeat_timeout: seconds without a sign of life after which a process counts as lost; the
            others then end, with a message and exit code `LOST`, wherever they are.
        shutdown_timeout: seconds that a process which has ended waits for the others to end.
    """

    cluster: str = "auto"
    coordinator: str = ""
    num_processes: int = 0
    process_id: int = -1
    start_timeout: int = 300
    heartbeat_timeout: int = 100
    shutdown_timeout: int = 60


class Place(NamedTuple):
    """The place of a process among the others; None where jax finds a value by itself."""

    cluster: str
    coordinator: str | None = None
    num_processes: int | None = None
    process_id: int | None = None
    local_device_ids: list[int] | None = None  # None: all devices of the machine


def initialize(settings: Settings) -> None:
    """Joins the other processes, if there are any. Call it before anything uses a device.

    It does nothing for a single process, and nothing when it is called again.

    Raises:
        InputError: settings contradict each other, or not all processes arrived in time. The caller
            should then end the process, because waiting for the others cannot be cancelled.
    """
    place = find(settings, os.environ)
    if place is None or jax.distributed.is_initialized():
        return
    outcome: list[Exception | None] = []

    def connect() -> None:
        try:
            jax.distributed.initialize(
                place.coordinator,
                place.num_processes,
                place.process_id,
                place.local_device_ids,
                # Jax must not detect again what is in `place`: it would give a process one device
                # wherever it knows its number on the machine.
                cluster_detection_method="deactivate" if place.coordinator else None,
                # Jax ends the process, without an exception, when its own time is over.
                initialization_timeout=settings.start_timeout + 30,
                heartbeat_timeout_seconds=settings.heartbeat_timeout,
                shutdown_timeout_seconds=settings.shutdown_timeout,
            )
        except Exception as error:
            outcome.append(error)
        else:
            outcome.append(None)

    # In a thread, so that this one can say what is missing.
    thread = threading.Thread(target=connect, name="meet the other processes", daemon=True)
    thread.start()
    thread.join(settings.start_timeout)
    if not outcome:
        raise InputError(_late(place, settings.start_timeout))
    if outcome[0] is None:
        return
    reason = (str(outcome[0]).strip() or repr(outcome[0])).splitlines()[0]
    if settings.cluster == "auto" and place.cluster == "tpu" and "coordinator_address" in reason:
        logging.info("This machine has TPU chips and no neighbours: training alone.")
        return
    raise InputError(
        f"config.hosts: cannot join the other processes ({place.cluster}): {reason}"
    ) from outcome[0]


def aborts_told() -> contextlib.AbstractContextManager[None]:
    """Context of a training: if jax aborts the process, a line says what to do.

    jax aborts a process if another one of the run is gone, unless an error shows that first. The
    process then ends with exit code `LOST`.
    """
    return aborts.told(_aborted)


@contextlib.contextmanager
def left_alone() -> Iterator[None]:
    """Context of what processes do together: if another one is gone, it prints a line and exits.

    The exit code is `LOST`. The process ends at once, because any clean-up would wait for the one
    that is gone.
    """
    try:
        yield
    except Exception as error:
        reason = _reasons(error)
        if jax.process_count() == 1 or not _SIGNS.search(reason):
            raise
        line = _lost(reason, jax.process_index(), jax.process_count())
        os.write(2, f"\n{line}\n".encode())
        os._exit(LOST)


def _reasons(error: BaseException | None) -> str:
    """The text of an error and of those that caused it."""
    found = []
    while error is not None:
        if isinstance(error, jax.errors.JaxRuntimeError):
            found.append(str(error))
        error = error.__cause__ or error.__context__
    return "; ".join(found)


def _aborted() -> tuple[str, int | None]:
    state = jax_distributed.global_state
    if (count := state.num_processes or 1) > 1:
        return _lost("", state.process_id, count), LOST
    return (
        "bitdiff: error: the process was aborted by the libraries below it, for the reason above; "
        "start the same command again: it goes on from the last checkpoint"
    ), None


def _lost(reason: str, index: int, count: int) -> str:
    """Says which process is gone, as far as `reason` or arithmetic tells, and what to do."""
    named = re.search(r"Task (\d+)|heartbeats\):\s*(\d+)", reason)
    if named:
        who = f"process {named[1] or named[2]}"
    elif count == 2:
        who = f"process {1 - index}"
    elif index and "Socket closed" in reason:
        who = "process 0"  # the coordinator
    else:
        who = "another process"
    return (
        f"bitdiff: error: {who} of {count} is gone, and process {index} ends with it; look into "
        "its log, then start the same command again on all: it goes on from the last checkpoint"
    )


def all_gather(value: Any) -> list[Any]:
    """The values of all processes, by process number; all of them have to call it.

    It is for host objects that pickle, such as rows of metrics; they arrive unchanged.
    """
    if jax.process_count() == 1:
        return [value]
    data = np.frombuffer(pickle.dumps(value), np.uint8)
    sizes = multihost_utils.process_allgather(np.int32(data.size))
    padded = np.pad(data, (0, int(sizes.max()) - data.size))
    gathered = multihost_utils.process_allgather(padded)
    return [pickle.loads(each[:size].tobytes()) for each, size in zip(gathered, sizes, strict=True)]


def broadcast(value: Any) -> Any:
    """Process 0's value, on every process; all have to call it, the others with any value.

    It is for host objects that pickle. Unlike `all_gather` it needs memory for one of them only.
    """
    if jax.process_count() == 1:
        return value
    data = np.frombuffer(pickle.dumps(value) if jax.process_index() == 0 else b"", np.uint8)
    size = int(multihost_utils.broadcast_one_to_all(np.int32(data.size)))
    padded = np.pad(data, (0, size - data.size))
    return pickle.loads(np.asarray(multihost_utils.broadcast_one_to_all(padded)).tobytes())


def find(settings: Settings, environ: Mapping[str, str]) -> Place | None:
    """Which process this is, or None if it is alone.

    'auto' takes the first of: a coordinator in the settings or in $JAX_COORDINATOR_ADDRESS; a step
    of SLURM (`srun`) with several tasks; a machine with TPU chips, where jax asks the platform
    (a pod of TPU VMs, or GKE, which tells each pod of a JobSet about the others).

    Args:
        settings: the `hosts` part of a config.
        environ: environment variables of the process.

    Raises:
        InputError: a setting or variable is missing, or does not fit the others.
    """
    if settings.cluster not in _CLUSTERS:
        raise InputError(
            f"config.hosts.cluster is {settings.cluster!r}; it must be one of "
            f"{', '.join(_CLUSTERS)}"
        )
    for name in ("start_timeout", "heartbeat_timeout", "shutdown_timeout"):
        if getattr(settings, name) < 1:
            raise InputError(f"config.hosts.{name} is {getattr(settings, name)}; use 1 or more")
    cluster = settings.cluster
    if cluster == "explicit" or (cluster == "auto" and _coordinator(settings, environ)):
        return _explicit(settings, environ)
    if cluster == "slurm" or (cluster == "auto" and _in_slurm(environ)):
        return _slurm(environ)
    if cluster == "tpu" or (cluster == "auto" and _has_tpu()):
        return Place("tpu")
    return None


def _coordinator(settings: Settings, environ: Mapping[str, str]) -> str:
    return settings.coordinator or environ.get("JAX_COORDINATOR_ADDRESS", "")


def _explicit(settings: Settings, environ: Mapping[str, str]) -> Place:
    coordinator = _coordinator(settings, environ)
    count = settings.num_processes or _number(environ, "JAX_NUM_PROCESSES")
    index: int | None = settings.process_id
    if index == -1:
        index = _number(environ, "JAX_PROCESS_ID", "JOB_COMPLETION_INDEX")
    for name, variable, value in (
        ("coordinator", "JAX_COORDINATOR_ADDRESS", coordinator or None),
        ("num_processes", "JAX_NUM_PROCESSES", count),
        ("process_id", "JAX_PROCESS_ID", index),
    ):
        if value is None:
            raise InputError(
                f"config.hosts.{name} is missing; set it or ${variable}, or say "
                "--config.hosts.cluster=none to use one process alone"
            )
    assert count is not None and index is not None
    if not re.fullmatch(r".+:\d+", coordinator):
        raise InputError(f"config.hosts.coordinator is {coordinator!r}; use host:port")
    if not 0 <= index < count:
        raise InputError(
            f"config.hosts.process_id is {index}; with num_processes={count} use 0 to {count - 1}"
        )
    return Place("explicit", coordinator, count, index)


def _in_slurm(environ: Mapping[str, str]) -> bool:
    # Not in the batch script itself, which knows the job's tasks but is none of them.
    return "SLURM_STEP_NODELIST" in environ and (_number(environ, "SLURM_NTASKS") or 0) > 1


def _slurm(environ: Mapping[str, str]) -> Place:
    """The place in a SLURM step: with several tasks per node each takes one GPU, one takes all."""
    names = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID")
    if missing := [name for name in names if name not in environ]:
        raise InputError(
            f"config.hosts.cluster is 'slurm', but ${missing[0]} is not set; start with srun"
        )
    job, count, index = (_number(environ, name) or 0 for name in (names[0], *names[2:]))
    nodes = _number(environ, "SLURM_STEP_NUM_NODES", "SLURM_NNODES") or 1
    # A port that two jobs on a node hardly share, above those that systems assign by themselves.
    port = _number(environ, "JAX_COORDINATOR_PORT") or 61_000 + job % 4_000
    visible = environ.get("CUDA_VISIBLE_DEVICES", "")
    local = None
    if count > nodes and visible.count(","):  # a single visible GPU is this task's already
        local = [_number(environ, "SLURM_LOCALID") or 0]
    host = _first_host(environ["SLURM_STEP_NODELIST"])
    return Place("slurm", f"{host}:{port}", count, index, local)


def _first_host(nodes: str) -> str:
    """The first host of SLURM's list of nodes, such as 'n03' of 'n[03-05,7],m1'."""
    first = re.match(r"(?:[^,\[]|\[[^\]]*\])*", nodes)
    assert first is not None
    return re.sub(r"\[([^\],-]*)[^\]]*\]", r"\1", first[0])


def _has_tpu() -> bool:
    chips = glob.glob("/dev/accel[0-9]*") or glob.glob("/dev/vfio/[0-9]*")
    return bool(chips) and importlib.util.find_spec("libtpu") is not None


def _number(environ: Mapping[str, str], *names: str) -> int | None:
    """The number in the first of these variables that is set; None if none is."""
    for name in names:
        if text := environ.get(name, ""):
            if not text.isdecimal():
                raise InputError(f"${name} is {text!r}; it must be a whole number")
            return int(text)
    return None


def _late(place: Place, seconds: int) -> str:
    waited = f"after {seconds} s (config.hosts.start_timeout)"
    if place.coordinator is None:
        return (
            f"not all hosts of this TPU slice have joined {waited}; start the same command on "
            "each of them, and look into the logs of those that ended"
        )
    who = f"this is process {place.process_id} of {place.num_processes}"
    if place.process_id and not _reachable(place.coordinator):
        return (
            f"process 0 cannot be reached at {place.coordinator} {waited}; {who}: check that it "
            "runs, and that the address and port are open to this machine"
        )
    return (
        f"not all {place.num_processes} processes have joined at {place.coordinator} {waited}; "
        f"{who}: start the missing ones, and look into the logs of those that ended"
    )


def _reachable(address: str) -> bool:
    host, port = address.rsplit(":", 1)
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=5):
            return True
    except OSError:
        return False
