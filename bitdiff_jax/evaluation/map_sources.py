"""Label maps of the same images from several sources: people, tools, samples."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from etils import epath

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions import Predictions, open_predictions, written_names
from bitdiff_jax.evaluation.predictions.map_file import MapFile, is_map_file
from bitdiff_jax.evaluation.predictions.sample_files import Reading, Written
from bitdiff_jax.evaluation.truths import MapTruths

# The image's name where files of other names are maps of one image.
ONE_IMAGE = "image"


class SourceMap(NamedTuple):
    """One map of an image.

    Attributes:
        source: name of the source.
        number: of the map among those of the source for this image, from 0.
        labels: int32 [h, w], -1 = ignore.
        weight: of the source, divided by the number of its maps for this image.
    """

    source: str
    number: int
    labels: np.ndarray
    weight: float


class MapSources:
    """Random access by name to the maps of all sources; one image is in memory.

    Attributes:
        names: names of the images that any source has, sorted.
        weights: of each source by its name.
    """

    def __init__(self, sources: Mapping[str, Predictions], weights: Sequence[float], zero: str):
        """Takes sources that are open.

        Args:
            sources: predictions by name.
            weights: of each source, >= 0.
            zero: 'ignore', or 'region' or 'background', which make id 0 of PNGs a region like the
                others, and of pixels of no region in other files one more.
        """
        self.weights = dict(zip(sources, weights, strict=True))
        self._sources = {name: MapTruths(each, zero, {}) for name, each in sources.items()}
        # By the source, the name that each image has in it.
        self._own = {source: {each: each for each in sources[source].names} for source in sources}
        found = {name for each in sources.values() for name in each.names}
        if len(found) > 1 and all(
            len(each.names) == 1 and epath.Path(each.path).is_file() for each in sources.values()
        ):
            # Files of one image each, whatever they are called.
            self._own = {source: {ONE_IMAGE: each.names[0]} for source, each in sources.items()}
            found = {ONE_IMAGE}
        self.names = tuple(sorted(found))
        self._check()

    def read(self, name: str) -> list[SourceMap]:
        """The maps of an image, by source and number.

        Raises:
            InputError: a map cannot be read, or sizes differ.
        """
        found = []
        for source, maps in self._sources.items():
            if name in self._own[source]:
                labels = maps.read(self._own[source][name]).labels
                weight = self.weights[source] / len(labels)
                found += [SourceMap(source, k, each, weight) for k, each in enumerate(labels)]
        first = found[0]
        for each in found:
            if each.labels.shape != first.labels.shape:
                raise InputError(
                    f"the map of {first.source} is {_size(first)} and that of {each.source} "
                    f"{_size(each)}; bring all maps of an image to one size"
                )
        return found

    def lacking(self) -> dict[str, list[str]]:
        """The images that each source has no map of, by source, where there are any."""
        missing = {
            source: [name for name in self.names if name not in own]
            for source, own in self._own.items()
        }
        return {source: names for source, names in missing.items() if names}

    def _check(self) -> None:
        """Refuses sources of which no image has two maps."""
        if len(self._sources) > 1:
            if not any(sum(name in own for own in self._own.values()) > 1 for name in self.names):
                (one, first), (other, second) = list(self._sources.items())[:2]
                raise InputError(
                    f"no image is in two of the sources: {one} has such as {first.names[0]!r} and "
                    f"{other} such as {second.names[0]!r}; name them alike"
                )
        elif all(count < 2 for count in self._counts()):
            (source,) = self._sources
            raise InputError(f"{source}: holds one map of each image; name another source")

    def _counts(self) -> Iterator[int]:
        """Maps of each image; one that cannot be read is told when its turn comes."""
        for name in self.names:
            try:
                yield len(self.read(name))
            except InputError:
                yield 2


def open_sources(
    paths: Mapping[str, str],
    weights: Sequence[float],
    *,
    kind: str | None = None,
    names: Reading | None = None,
    zero: str = "region",
    like: Sequence[str] = (),
) -> MapSources:
    """Opens label maps of the same images.

    Images are matched by name: those of the second source take the names of the first where they
    fit (`image_names.Names`), those of the third the names of both, and so on. If every path is a
    file of one image, they are all of one image.

    Args:
        paths: what `open_predictions` reads, or single files of maps, by the name of the source.
        weights: of each source, >= 0.
        kind: of all of them; None finds it out for each.
        names: how names `ID_0`, `ID_1` are read, see `open_predictions`.
        zero: see `MapSources`.
        like: names of the images, if they are known; they come before those of the sources.

    Raises:
        InputError: a source cannot be opened, holds levels of a parameter, or no image has two
            maps.
    """
    known = list(like)
    sources: dict[str, Predictions] = {}
    for source, path in paths.items():
        found: Predictions
        if kind in (None, "png") and is_map_file(path):
            found = MapFile(path, like=known)
        else:
            others = _others(paths, path, kind)
            found = open_predictions(path, kind, like=known, names=names, others=others)
        if found.levels is not None:
            raise InputError(f"{path}: holds levels of a parameter; name one level's folder")
        sources[source] = found
        known = list(dict.fromkeys([*known, *found.names]))
    return MapSources(sources, weights, zero)


def _others(paths: Mapping[str, str], path: str, kind: str | None) -> Iterator[Written]:
    """Names in the other sources; a generator, since few sources need them."""
    for other in paths.values():
        if other != path and not is_map_file(other):
            yield written_names(other, kind)


def _size(each: SourceMap) -> str:
    height, width = each.labels.shape
    return f"{width}x{height}"
