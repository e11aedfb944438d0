"""Label maps, overlays and probabilities as PNG."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from etils import epath

from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import outputs, posterior_outputs

if TYPE_CHECKING:
    from bitdiff_jax.inference.segmentation import Segmentation


def region_ids(label_map: np.ndarray, bits: int) -> np.ndarray:
    """Region ids as they go into a PNG.

    Args:
        label_map: int32 [h, w], ids 0..n.
        bits: 8 or 16.

    Returns:
        uint8 or uint16 [h, w].

    Raises:
        InputError: there are more regions than these bits hold.
    """
    number, most = int(label_map.max()), 2**bits - 1
    if number > most:
        wider = "id_png, " if bits < 16 else ""
        raise InputError(
            f"label_map: {number} regions do not fit {bits} bits, which hold {most}; draw fewer "
            f"with a greater min_area, or use the format {wider}npz, geojson or coco_panoptic"
        )
    return label_map.astype(np.uint16 if bits == 16 else np.uint8)


@dataclasses.dataclass(frozen=True)
class PngFormat:
    """A PNG of each image.

    Attributes:
        suffix: of the file's name.
        draw: gives uint8 [h, w, 3], uint8 [h, w] or uint16 [h, w]; None if there is nothing to
            write.
    """

    suffix: str
    draw: Callable[["Segmentation"], np.ndarray | None]

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The end of its file's name."""
        return (self.suffix,)

    def __call__(self, segmentation: "Segmentation", folder: epath.Path, name: str) -> None:
        """As `Format.__call__`; nothing is written where there is nothing to show.

        Raises:
            InputError: the place cannot be written, or there are more regions than the bits hold.
        """
        pixels = self.draw(segmentation)
        if pixels is not None:
            outputs.save_png(folder / f"{name}{self.suffix}", pixels)


class BoundaryFormat:
    """The probability of a boundary: a grey PNG, 255 = 1, and a float32 array [h, w] as npy."""

    suffixes = ("_boundary.png", "_boundary.npy")

    def __call__(self, segmentation: "Segmentation", folder: epath.Path, name: str) -> None:
        """As `Format.__call__`; nothing is written of few samples, see `MIN_SAMPLES`."""
        if segmentation.num_samples < posterior_outputs.MIN_SAMPLES:
            return
        probability = segmentation.boundary_probability
        assert probability is not None  # as it is of a single sample
        picture, array = (folder / f"{name}{suffix}" for suffix in self.suffixes)
        outputs.save_png(picture, outputs.as_grey(probability))
        posterior_outputs.save_array(array, probability)


class ModesFormat:
    """The most different answers: a PNG of region ids for each, and all of them side by side."""

    suffixes = (
        "_modes.png",
        *(f"_mode{number}.png" for number in range(1, posterior_outputs.NUM_MODES + 1)),
    )

    def __call__(self, segmentation: "Segmentation", folder: epath.Path, name: str) -> None:
        """As `Format.__call__`; nothing is written of few samples, see `MIN_SAMPLES`."""
        modes = posterior_outputs.modes_of(segmentation)
        if not modes:
            return
        whole, *each = (folder / f"{name}{suffix}" for suffix in self.suffixes)
        together = posterior_outputs.modes_side_by_side(segmentation.image, modes)
        outputs.save_png(whole, together)
        for path, mode in zip(each, modes, strict=False):  # there may be fewer
            outputs.save_png(path, region_ids(mode.label_map, 16))


def agreement_png(segmentation: "Segmentation") -> np.ndarray | None:
    """uint8 [H, W], see `outputs.agreement_with_legend`; None of one sample."""
    if segmentation.agreement is None:
        return None
    return outputs.agreement_with_legend(segmentation.agreement, segmentation.num_samples)


def region_png(segmentation: "Segmentation") -> np.ndarray | None:
    """uint8 [H, W], 255 in the region that points mean; None if there are no points."""
    region = segmentation.clicked_region
    return None if region is None else region.astype(np.uint8) * 255
