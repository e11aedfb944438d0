"""A source that is kept in memory, at a size that training needs."""

import threading
from typing import Any

import numpy as np

from bitdiff_jax.data import pipeline, transforms
from bitdiff_jax.errors import InputError

# Ids of -1..127 need a quarter of the memory of int32; a 16-bit file may need all of it.
_STORED = (np.int8, np.int16, np.int32)

_Entry = tuple[str, np.ndarray, tuple[np.ndarray, ...]]


class Resident(pipeline.Wrapper):
    """Shrinks what a source gives as it is first read, and keeps it in memory.

    `resident[i]` is a pure function of i, as `source[i]` is: the same name, the picture reduced by
    area and the label maps by majority to a longest side of `max_side`; smaller ones as they are.
    Of an item's keys it keeps 'name', 'image' and 'labels'.

    What was read stays in memory up to `cache_bytes`: first come, first kept, because an epoch
    visits each item once, so replacing entries would only lose them. Pictures are shared and cannot
    be written to; label maps are copies. Copies sent to other processes start with an empty memory
    of the same bound, so W worker processes may hold W times as much.
    """

    def __init__(
        self, source: pipeline.Source, max_side: int | None = None, cache_bytes: int = 2**30
    ):
        """Reads nothing.

        Args:
            source: pictures at any size.
            max_side: longest side that is kept, such as twice the network's size, with which a crop
                of half the picture is as sharp as the picture; None keeps every picture as it is.
            cache_bytes: bound on the memory; 0 keeps nothing.

        Raises:
            InputError: `max_side` below 1 or `cache_bytes` below 0.
        """
        if max_side is not None and max_side < 1:
            raise InputError(f"max_side={max_side} must be at least 1")
        if cache_bytes < 0:
            raise InputError(f"cache_bytes={cache_bytes} must be at least 0; 0 keeps nothing")
        self.source = source
        self.max_side = max_side
        self.cache_bytes = cache_bytes
        self._forget()

    def _forget(self) -> None:
        self._cache: dict[int, _Entry] = {}
        self._cached_bytes = 0
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        for name in ("_cache", "_cached_bytes", "_lock"):
            del state[name]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def __repr__(self) -> str:
        return f"Resident({self.source!r}, max_side={self.max_side})"

    @property
    def definition(self) -> str:
        """What determines the items: the source's own definition and `max_side`."""
        return f"{pipeline.definition(self.source)} max_side={self.max_side}"

    def __getitem__(self, index: int) -> dict[str, Any]:
        index = int(index)
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} pictures")
        entry = self._cache.get(index)
        if entry is None:
            entry = self._read(index)
            self._keep(index, entry)
        name, image, labels = entry
        return {
            "name": name,
            "image": image,
            "labels": tuple(each.astype(np.int32) for each in labels),
        }

    def _keep(self, index: int, entry: _Entry) -> None:
        _, image, labels = entry
        size = image.nbytes + sum(each.nbytes for each in labels)
        with self._lock:
            if index not in self._cache and self._cached_bytes + size <= self.cache_bytes:
                self._cache[index] = entry
                self._cached_bytes += size

    def _read(self, index: int) -> _Entry:
        item = self.source[index]
        image = item["image"]
        height, width = shape = image.shape[:2]
        if self.max_side is not None and max(shape) > self.max_side:
            shape = transforms.resized_shape(height, width, self.max_side)
        image = transforms.resize_image(image, shape).view()
        image.setflags(write=False)
        labels = (transforms.resize_labels(each, shape, "majority") for each in item["labels"])
        return item["name"], image, tuple(_stored(each) for each in labels)


def _stored(labels: np.ndarray) -> np.ndarray:
    high = int(labels.max())
    return labels.astype(next(dtype for dtype in _STORED if high <= np.iinfo(dtype).max))
