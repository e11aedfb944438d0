"""Names of a source's images, and sources of which some images cannot be read."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bitdiff_jax.data.pipeline import Source
from bitdiff_jax.errors import InputError


def names(source: Source, count: int, needed: bool) -> Sequence[str]:
    """Names of the first images, from the source's list or, if needed, by reading the images.

    Returns:
        The names; () if the source has no list of them and they are not needed.
    """
    if getattr(source, "names", None) is None and not needed:
        return ()
    return [_name(source, place) for place in range(count)]


def _name(source: Source, place: int) -> str:
    known = getattr(source, "names", None)
    if known is not None:
        return known[place]
    try:
        return source[place]["name"]
    except InputError:
        return f"picture {place}"


class Tolerant:
    """A source that gives a black pixel for an image that cannot be read, and keeps the reason."""

    def __init__(self, source: Source):
        self.errors: dict[int, str] = {}
        self._source = source

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> dict[str, Any]:
        try:
            return self._source[index]
        except InputError as error:
            self.errors[index] = str(error)
            name = _name(self._source, index)
            return {"name": name, "image": np.zeros((1, 1, 3), np.uint8), "labels": ()}
