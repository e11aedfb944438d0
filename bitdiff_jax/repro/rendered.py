"""Procedural scenes that are drawn once and then read: arms of one claim share their pictures."""

import functools
import io
import os
import pathlib
import zipfile
from typing import Any

import numpy as np

from bitdiff_jax import files
from bitdiff_jax.errors import InputError
from bitdiff_jax.parallel.compilation_cache import ENVIRONMENT_VARIABLE
from bitdiff_jax.scenes import SceneSource

# Scenes in a file: what a process that is killed loses is the drawing of so many.
BLOCK = 1024


class RenderedScenes:
    """The scenes of `SceneSource`, kept in files of the cache folder and in memory.

    As a data spec it is `bitdiff_jax.repro.rendered:RenderedScenes,level=2,size=32,length=16384`.
    At 32 pixels a scene takes 4,096 bytes.
    """

    def __init__(
        self,
        level: str | int = 2,
        size: str | int = 32,
        seed: str | int = 0,
        length: str | int = 16_384,
        height: str | int = 0,
    ):
        """Takes the options of a spec, which are text; draws nothing yet.

        Args:
            level: of the scenes.
            size: side of the square picture in pixels.
            seed: of the scenes.
            length: number of scenes.
            height: number of middle rows that are kept, for pictures that are not square and so
                have padding; 0 keeps all.

        Raises:
            InputError: an option is no whole number, or out of its range.
        """
        options = {
            name: _number(name, value)
            for name, value in (
                ("level", level), ("size", size), ("seed", seed), ("length", length),
                ("height", height),
            )
        }  # fmt: skip
        self.height = options.pop("height")
        self._scenes = SceneSource(**options)
        if not 0 <= self.height <= self._scenes.size:
            raise InputError(
                f"height={self.height} is not within the scenes' size={self._scenes.size}"
            )

    def __len__(self) -> int:
        return len(self._scenes)

    def __repr__(self) -> str:
        return f"RenderedScenes({self._scenes!r}, height={self.height})"

    def __getitem__(self, index: int) -> dict[str, Any]:
        """A scene as `SceneSource` gives it, or its middle rows."""
        s = self._scenes
        if not 0 <= index < len(s):
            raise IndexError(f"index {index} is out of range for {len(s)} scenes")
        images, labels = _block(s.level, s.size, s.seed, index // BLOCK, len(s))
        rows = slice(None)
        if self.height:
            top = (s.size - self.height) // 2
            rows = slice(top, top + self.height)
        return {
            "name": f"scene-L{s.level}-s{s.seed}-{index:08d}",
            "image": images[index % BLOCK][rows],
            "labels": (labels[index % BLOCK][rows].astype(np.int32),),
        }


def folder() -> pathlib.Path:
    """Where scenes are kept: beside compiled programs, see `parallel.compilation_cache`."""
    place = os.environ.get(ENVIRONMENT_VARIABLE) or "~/.cache/bitdiff_jax"
    return pathlib.Path(place).expanduser() / "scenes"


@functools.lru_cache(maxsize=64)
def _block(
    level: int, size: int, seed: int, number: int, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [n, size, size, 3] and labels uint8 [n, size, size] of a block of scenes."""
    count = min(BLOCK, length - number * BLOCK)
    path = folder() / f"level{level}_{size}px_seed{seed}_{number * BLOCK:08d}_{count}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            return file["images"], file["labels"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):  # not there yet, or damaged
        pass
    scenes = SceneSource(level=level, size=size, seed=seed, length=length)
    items = [scenes[number * BLOCK + i] for i in range(count)]
    images = np.stack([item["image"] for item in items])
    labels = np.stack([item["labels"][0] for item in items]).astype(np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, images=images, labels=labels)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, buffer.getvalue())
    return images, labels


def _number(name: str, value: str | int) -> int:
    try:
        return int(value)
    except ValueError:
        raise InputError(f"{name}={value!r} of scenes is no whole number; use one") from None
