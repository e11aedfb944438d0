"""Where a run's numbers and pictures go: JSON lines and PNG files in its folder."""

import io
import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from etils import epath
from PIL import Image

from bitdiff_jax import files


class RunWriter:
    """Writes `metrics/PART.jsonl`, one object a line, and `samples/STEP.png`.

    Every start of a run opens a part of its own, because object stores cannot append.
    Only process 0 should have one.
    """

    def __init__(self, workdir: epath.PathLike):
        self._directory = epath.Path(workdir)
        metrics = files.make_folder(self._directory / "metrics", "--workdir")
        part = len(list(metrics.glob("*.jsonl")))
        self.path = metrics / f"{part:04d}.jsonl"
        self._file = self.path.open("w")

    def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
        """Appends {'step', 'time' (Unix seconds), **scalars}."""
        values = {key: _plain(value) for key, value in scalars.items()}
        self._file.write(json.dumps({"step": step, "time": round(time.time(), 3), **values}) + "\n")
        self._file.flush()

    def write_image(self, step: int, image: np.ndarray) -> epath.Path:
        """Saves uint8 [H, W, 3] and returns its path."""
        folder = files.make_folder(self._directory / "samples", "--workdir")
        path = folder / f"{step:08d}.png"
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, format="PNG")
        files.write(path, buffer.getvalue())
        return path

    def close(self) -> None:
        """Closes the metrics file."""
        self._file.close()


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else float(value)
