"""The size at which maps are compared, and the truth that they are compared with.

A `View` holds these rules; metrics are computed in each view asked for. In `HONEST` the truth has
all of its regions, pixels that are not annotated are out of all metrics, and each pixel is read at
its centre. `PAPER` has the rules of arXiv 2601.02881 as its code is released: 128 px, truths of
more than 64 regions merged to 64, background a class, pixels read at floor(i * source / target).
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from bitdiff_jax.data import labelmaps, transforms
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.host_contingency import as_partition

# Greatest difference of a prediction's proportions from the truth's, which allows for rounding.
_SLACK = 1.0


@dataclasses.dataclass(frozen=True)
class View:
    """The rules of one comparison of maps with truths.

    Attributes:
        name: name of the view in tables and files.
        size: longest side, in pixels, at which maps are compared; 0 is the truth's own size.
        merge_to: greatest number of regions of a truth. Of more, the smallest become part of the
            largest; 0 keeps all.
        background: what pixels that are not annotated are: 'ignore' leaves them out, 'region' makes
            them one more region of the truth.
        read: where pixels are read: at 'centres', or at 'floor' as released, which shifts a map by
            up to half of a target pixel.
    """

    name: str
    size: int = 0
    merge_to: int = 0
    background: str = "ignore"
    read: str = "centres"

    def __post_init__(self):
        if self.size < 0 or self.merge_to < 0:
            raise InputError(f"view {self.name}: size {self.size} and merge_to {self.merge_to} "
                             "must be 0 or more")  # fmt: skip

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """The shape at which maps of an image of this shape are compared."""
        return transforms.resized_shape(height, width, self.size) if self.size else (height, width)

    def prediction(self, ids: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """A sample as a partition at this view's size, int32 [h, w].

        Args:
            ids: a predicted map, int [h, w] of any size, see `host_contingency.as_partition`.
            shape: (height, width) of the truth.

        Raises:
            InputError: the sample's proportions are not the truth's.
        """
        (height, width), (h, w) = shape, ids.shape
        larger = max(height, width), max(h, w)
        if abs(height / larger[0] - h / larger[1]) * larger[1] > _SLACK or (
            abs(width / larger[0] - w / larger[1]) * larger[1] > _SLACK
        ):
            raise InputError(
                f"the prediction is {w}x{h} and the truth {width}x{height}: their proportions "
                "differ; take off padding, or look whether it is turned"
            )
        return as_partition(self._resized(ids, self.shape(height, width)))

    def regions(self, ids: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Ids of the regions that are left at this size; element k is that of region k."""
        left = np.unique(self._resized(ids, self.shape(*shape)))
        return left[left >= 0]

    def truth(self, ids: np.ndarray) -> np.ndarray:
        """An annotator's map by the rules of this view, int32 [h, w], ids 0..n-1, -1 = left out."""
        result = labelmaps.compact(self._resized(np.asarray(ids), self.shape(*ids.shape)))[0]
        if self.background == "region":
            result = as_partition(result)
        return merged(result, self.merge_to) if self.merge_to else result

    def _resized(self, ids: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        if self.read == "floor":
            return labelmaps.resize_labels(ids, shape, "nearest")
        return labelmaps.at_centres(ids, shape)


def merged(ids: np.ndarray, count: int) -> np.ndarray:
    """Keeps the `count` largest regions; all others become part of the largest one.

    Args:
        ids: int [h, w], numbered from 0; negative ids stay. Of equal areas the lower id is kept
            (the released code leaves that to an unstable sort).
        count: number of regions to keep, 1 or more.
    """
    areas = np.bincount(ids[ids >= 0])
    if len(areas) <= count:
        return ids
    by_area = np.argsort(-areas, kind="stable")
    new = np.arange(len(areas))
    new[by_area[count:]] = by_area[0]
    return labelmaps.compact(np.append(new, -1)[ids].astype(np.int32))[0]


NATIVE = View("native")
PAPER = View("paper", size=128, merge_to=64, background="region", read="floor")
HONEST = View("honest", size=128)


def at_sizes(sizes: Sequence[int]) -> tuple[View, ...]:
    """Honest views at these longest sides, named 'native' for 0 and by the number otherwise.

    Raises:
        InputError: there is no size, or one is given twice.
    """
    if not sizes or len(set(sizes)) < len(sizes):
        raise InputError(f"sizes {list(sizes)}: name one or more, each once")
    return tuple(View(str(size), size) if size else NATIVE for size in sizes)
