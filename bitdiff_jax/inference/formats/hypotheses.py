"""Samples as the hypotheses of a tracker that chooses among several segmentations of each frame.

Ultrack is one: `ultrack.utils.labels_to_contours` takes a list of label maps over time, [t, h, w],
one of each hypothesis. Here a frame is an image, and a hypothesis a sample.
"""

import dataclasses
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from etils import epath
from PIL import Image

from bitdiff_jax import files
from bitdiff_jax.errors import InputError

if TYPE_CHECKING:
    from bitdiff_jax.inference.segmentation import Segmentation

_UINT16 = np.iinfo(np.uint16).max


def stack(frames: Sequence["Segmentation"]) -> list[np.ndarray]:
    """The samples of several frames, as Ultrack takes them.

    Args:
        frames: at least one, in the order of time, of equal shapes and numbers of samples.

    Returns:
        Of each sample int32 [t, h, w]; ids are those of each frame alone, 0 is the background.

    Raises:
        InputError: there is no frame, or frames differ in shape or number of samples.
    """
    kinds = {(each.num_samples, *each.shape) for each in frames}
    if len(kinds) != 1:
        raise InputError(
            f"frames have (samples, height, width) {sorted(kinds)}; they need one kind, the same "
            "for all"
        )
    samples = range(frames[0].num_samples)
    return [np.stack([frame.label_map(sample) for frame in frames]) for sample in samples]


@dataclasses.dataclass(frozen=True)
class HypothesesFormat:
    """NAME_hypotheses.tif of each image: a page of region ids for each sample.

    Of 16 bits, or 32 if there are more regions.

    Attributes:
        suffixes: of the file's name.
    """

    suffixes: tuple[str, ...] = ("_hypotheses.tif",)

    def __call__(self, segmentation: "Segmentation", folder: epath.Path, name: str) -> None:
        """As `Format.__call__`.

        Raises:
            InputError: the place cannot be written.
        """
        maps = segmentation.label_maps
        maps = maps.astype(np.uint16 if maps.max() <= _UINT16 else np.int32)
        first, *others = map(Image.fromarray, maps)
        buffer = io.BytesIO()
        first.save(
            buffer,
            format="TIFF",
            save_all=True,
            append_images=others,
            compression="tiff_adobe_deflate",
        )
        files.write(folder / f"{name}{self.suffixes[0]}", buffer.getvalue())
