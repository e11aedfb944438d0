"""The consensus of an image's label maps, and the tables that tell of all images."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.map_sources import SourceMap
from bitdiff_jax.inference import outputs
from bitdiff_jax.inference.sample_statistics import LEVEL
from bitdiff_jax.posterior import Posterior, measures
from bitdiff_jax.posterior.disputed import DisputedRegion, disputed_regions
from bitdiff_jax.posterior.reliability import Reliability, leave_one_out

SOURCES, DISPUTED = "sources.csv", "disputed.csv"
IMAGE_COLUMNS = (
    "image", "height", "width", "num_sources", "num_maps", "num_regions", "num_regions_low",
    "num_regions_high", "entropy", "effective_maps",
)  # fmt: skip
SOURCE_COLUMNS = ("source", "weight", "num_images", "ari", "vi")
DISPUTED_COLUMNS = ("image", "region", "area", "entropy", "part", "row", "column")


class ImageConsensus(NamedTuple):
    """What the maps of one image say together.

    Attributes:
        name: of the image.
        label_map: uint16 [h, w], ids from 1, the largest region first; 0 = ignored by a map.
        boundary: uint8 [h, w], boundary probability, 255 = 1; 0 where a map ignores the pixel.
        maps: the maps, without their pixels: source, number, reliability.
        num_regions: (low, high), the central interval of `LEVEL` for the number of regions.
        entropy: expected variation of information from the consensus, in bits.
        effective_maps: 1 / sum of the squared weights of the different partitions.
        disputed: the regions, ids from 1, the most disputed first, see `disputed_regions`.
    """

    name: str
    label_map: np.ndarray
    boundary: np.ndarray
    maps: tuple[tuple[str, int, Reliability | None], ...]
    num_regions: tuple[int, int]
    entropy: float
    effective_maps: float
    disputed: tuple[DisputedRegion, ...]


def consensus_of(
    name: str, maps: Sequence[SourceMap], criterion: str | None = None
) -> ImageConsensus:
    """The consensus of an image's maps.

    Args:
        name: of the image.
        maps: one or more, of one size.
        criterion: as in `Posterior.consensus`.

    Raises:
        InputError: all maps have weight 0, no pixel is labelled in all of them, there is no such
            criterion, or there are more regions than 16 bits hold.
    """
    weights = np.array([each.weight for each in maps])
    if not weights.any():
        raise InputError("only sources of weight 0 have a map of it; give one of them a weight")
    posterior = Posterior.from_maps(np.stack([each.labels for each in maps]), weights)
    low, high = posterior.measure(measures.count()).interval(LEVEL)
    partitions = posterior.atoms.weights
    reliable = leave_one_out(posterior, criterion)
    return ImageConsensus(
        name=name,
        label_map=outputs.as_ids(posterior.consensus(criterion) + 1),
        boundary=outputs.as_grey(posterior.boundary_probability()),
        maps=tuple(
            (each.source, each.number, found) for each, found in zip(maps, reliable, strict=True)
        ),
        num_regions=(int(low), int(high)),
        entropy=float(np.nanmean(posterior.entropy(criterion), dtype=np.float64)),
        effective_maps=float(1 / (partitions**2).sum()),
        disputed=tuple(
            each._replace(id=each.id + 1) for each in disputed_regions(posterior, criterion)
        ),
    )


class SourceRow(NamedTuple):
    """One source of sources.csv: one argument, or one of its maps where it has several.

    Attributes:
        source: name; NAME_K of map K of a source that has several maps of an image.
        weight: of the source; its maps share it.
        num_images: images that it has a map of.
        ari: mean adjusted Rand index to the consensus of the others; NaN where there were none.
        vi: mean variation of information to it, in bits.
    """

    source: str
    weight: float
    num_images: int
    ari: float
    vi: float


class Tables:
    """Collects what the tables tell, without the pixels."""

    def __init__(self, weights: Mapping[str, float]):
        """Takes the weight of each source by its name."""
        self._weights = weights
        self._images: list[Sequence[str]] = []
        self._disputed: list[tuple[str, DisputedRegion]] = []
        self._found: dict[tuple[str, int], list[Reliability | None]] = {}

    def add(self, result: ImageConsensus) -> None:
        """Adds an image."""
        sources = {source for source, _, _ in result.maps}
        numbers = (*result.label_map.shape, len(sources), len(result.maps))
        numbers += (len(result.disputed), *result.num_regions)
        values = [f"{result.entropy:.4f}", f"{result.effective_maps:.2f}"]
        self._images.append([result.name, *map(str, numbers), *values])
        self._disputed += [(result.name, each) for each in result.disputed]
        for source, number, found in result.maps:
            self._found.setdefault((source, number), []).append(found)

    def sources(self) -> list[SourceRow]:
        """The sources in the order in which they were given."""
        several = {source for source, number in self._found if number}
        order = list(self._weights)
        rows = []
        for source, number in sorted(self._found, key=lambda key: (order.index(key[0]), key[1])):
            found = self._found[source, number]
            compared = [each for each in found if each is not None]
            ari, vi = np.mean(compared, axis=0).tolist() if compared else (math.nan, math.nan)
            name = f"{source}_{number}" if source in several else source
            rows.append(SourceRow(name, self._weights[source], len(found), ari, vi))
        return rows

    def disputed(self) -> list[tuple[str, DisputedRegion]]:
        """The regions of all images, with the image's name, the most disputed first."""
        return sorted(self._disputed, key=lambda pair: -pair[1].part)

    def as_csv(self) -> dict[str, bytes]:
        """The tables by the names of their files."""
        sources = [
            [row.source, f"{row.weight:g}", str(row.num_images), *map(_number, (row.ari, row.vi))]
            for row in self.sources()
        ]
        disputed = [
            [name, str(each.id), str(each.area)]
            + [f"{each.entropy:.4f}", f"{each.part:.6f}", *map(str, each.point)]
            for name, each in self.disputed()
        ]
        return {
            SOURCES: outputs.as_csv(SOURCE_COLUMNS, *sources),
            DISPUTED: outputs.as_csv(DISPUTED_COLUMNS, *disputed),
            outputs.IMAGES: outputs.as_csv(IMAGE_COLUMNS, *self._images),
        }


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"
