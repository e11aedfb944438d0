"""Writes a run's numbers, images and texts as JSON lines, PNG files and TensorBoard events.

`read_metrics` reads the numbers back.
"""

import io
import json
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from absl import logging
from etils import epath
from PIL import Image

from bitdiff_jax import files
from bitdiff_jax.errors import InputError

# JSON has no such numbers; the names are those of protobuf's JSON mapping.
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_BUCKET_SECONDS = 60.0


class RunWriter:
    """Writes `metrics/PART.jsonl`, `samples/STEP.png`, texts and, if asked, `tensorboard/`.

    Every start of a run opens a part of its own, whose first line says from which step it goes on.
    Rows of later steps in earlier parts are superseded, and `read_metrics` leaves them out. Only
    process 0 should have a writer.

    On a disk every line is written at once. A bucket cannot append, so there the part is written
    whole, once a minute and at the end: a killed run loses the last minute of its rows.

    Args:
        workdir: the run's folder; may be gs://...
        start_step: the step from which this start goes on, 0 for scratch. None writes no such
            line; the part then supersedes earlier ones from its first row on.
        tensorboard: whether to write event files for TensorBoard too, by tensorboardX. Superseded
            points are hidden there as well.

    Raises:
        InputError: the folder cannot be made, or tensorboardX is not installed.
    """

    def __init__(
        self,
        workdir: epath.PathLike,
        *,
        start_step: int | None = None,
        tensorboard: bool = False,
    ):
        self._directory = epath.Path(workdir)
        metrics = files.make_folder(self._directory / "metrics", "--workdir")
        self.path = metrics / f"{_next_part(metrics):04d}.jsonl"
        # Before the first line, so that a start that fails here supersedes nothing.
        self._tensorboard = _import_tensorboardx() if tensorboard else None
        self._events: Any = None
        self._num_event_files = 0
        self._lines = _Bucket(self.path) if _in_bucket(self.path) else _Disk(self.path)
        if start_step is None:
            self._open_events(None)
        else:
            self.rewind(start_step)

    def rewind(self, step: int) -> None:
        """Notes that the run goes on from `step`: rows of later steps so far are superseded."""
        self._line(step, {"event": "start"})
        self._open_events(step + 1)

    def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
        """Appends {'step', 'time' (Unix seconds), **scalars}; values are numbers or strings."""
        values = {key: _plain(value) for key, value in scalars.items()}
        self._line(step, values)
        if self._events:
            for key, value in values.items():
                if not isinstance(value, str):
                    self._events.add_scalar(key, value, step)

    def write_image(self, step: int, image: np.ndarray) -> epath.Path:
        """Saves an image, uint8 [H, W, 3], as `samples/STEP.png` and returns its path."""
        folder = files.make_folder(self._directory / "samples", "--workdir")
        path = folder / f"{step:08d}.png"
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, format="PNG")
        files.write(path, buffer.getvalue())
        if self._events:
            self._events.add_image("samples", image, step, dataformats="HWC")
        return path

    def write_text(self, name: str, text: str) -> epath.Path:
        """Writes the file `name`, such as `config.json`, over that of an earlier start."""
        path = self._directory / name
        files.write(path, f"{text.rstrip()}\n".encode())
        if self._events:
            # TensorBoard shows Markdown, in which lines indented by four stay as they are.
            self._events.add_text(path.stem, "".join(f"    {x}\n" for x in text.splitlines()))
        return path

    def close(self) -> None:
        """Closes the files."""
        self._lines.close()
        if self._events:
            self._events.close()

    def _open_events(self, purge_step: int | None) -> None:
        """Opens a new event file; TensorBoard hides older points from `purge_step` on."""
        if self._tensorboard is None:
            return
        if self._events:
            self._events.close()
        # Without the suffix, two files opened within one second would have one name.
        self._num_event_files += 1
        self._events = self._tensorboard.SummaryWriter(
            str(self._directory / "tensorboard"),
            purge_step=purge_step,
            filename_suffix=f".{self.path.stem}.{self._num_event_files}",
            flush_secs=30,
        )

    def _line(self, step: int, values: Mapping[str, Any]) -> None:
        row = {"step": int(step), "time": round(time.time(), 3), **values}
        self._lines.add(json.dumps({k: _to_json(v) for k, v in row.items()}, allow_nan=False))


def read_metrics(workdir: epath.PathLike) -> list[dict[str, Any]]:
    """Reads the rows of a run, one per step, in ascending order, from all parts together.

    A row has 'step', 'time' and whatever was written at that step: a step that was logged and
    evaluated has both in one row. Rows that were written after the checkpoint from which a later
    start (or a roll back) went on are left out. A last line that is incomplete, because the run was
    killed while writing it or is still writing it, is left out.

    Args:
        workdir: the run's folder.

    Raises:
        InputError: there are no metrics, or a line in the middle is not JSON.
    """
    folder = epath.Path(workdir) / "metrics"
    parts = sorted(folder.glob("*.jsonl"), key=lambda path: path.name) if folder.exists() else []
    if not parts:
        raise InputError(f"{workdir}: has no metrics/*.jsonl; name the --workdir of a training")
    rows: dict[int, dict[str, Any]] = {}
    for part in parts:
        for number, row in enumerate(_rows(part)):
            step, marks = row["step"], row.get("event") == "start"
            if marks or number == 0:
                first = step + 1 if marks else step
                rows = {s: r for s, r in rows.items() if s < first}
            if not marks:
                rows[step] = rows.get(step, {}) | row
    return [rows[step] for step in sorted(rows)]


def _rows(part: epath.Path) -> list[dict[str, Any]]:
    lines = part.read_text().split("\n")
    rows = []
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            row = {k: _NOT_FINITE.get(v, v) if isinstance(v, str) else v for k, v in row.items()}
            int(row["step"])
        except (ValueError, AttributeError, KeyError, TypeError):
            if number == len(lines) - 1:  # a whole line ends with \n, so this one is incomplete
                break
            raise InputError(
                f"{part}: line {number + 1} is not a row of metrics; mend or remove it"
            ) from None
        rows.append(row)
    return rows


class _Disk:
    """Lines appended to a file, each flushed."""

    def __init__(self, path: epath.Path):
        self._file = path.open("w")

    def add(self, line: str) -> None:
        self._file.write(f"{line}\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class _Bucket:
    """Lines kept, and written whole at intervals."""

    def __init__(
        self,
        path: epath.Path,
        seconds: float = _BUCKET_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._path, self._seconds, self._clock = path, seconds, clock
        self._text, self._written = "", -math.inf

    def add(self, line: str) -> None:
        self._text += f"{line}\n"
        if self._clock() - self._written >= self._seconds:
            self._write()

    def close(self) -> None:
        self._write()

    def _write(self) -> None:
        self._written = self._clock()
        try:
            self._path.write_text(self._text)
        except Exception as error:  # each store has errors of its own; no row is worth a run
            logging.warning("%s: not written (%s); trying again later.", self._path, error)


def _next_part(metrics: epath.Path) -> int:
    numbers = [int(p.stem) for p in metrics.glob("*.jsonl") if p.stem.isdecimal()]
    return max(numbers, default=-1) + 1


def _in_bucket(path: epath.Path) -> bool:
    return "://" in str(path)


def _import_tensorboardx() -> Any:
    try:
        import tensorboardX
    except ImportError:
        raise InputError(
            "config.telemetry.tensorboard: tensorboardX is not installed; "
            "run pip install 'bitdiff_jax[tensorboard]'"
        ) from None
    return tensorboardX


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else float(value)


def _to_json(value: Any) -> Any:
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
