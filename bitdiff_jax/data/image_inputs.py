"""What a network is shown of an image beside its label map: the image's size, and features."""

import dataclasses
from typing import Any

import numpy as np
from PIL import Image

from bitdiff_jax.data import transforms
from bitdiff_jax.errors import InputError
from bitdiff_jax.feature_grids import View


@dataclasses.dataclass(frozen=True)
class ImageInputs:
    """What examples hold for the network's condition.

    Attributes:
        image_scale: 'image' is this many times as large as the label map.
        grid: if above 0, the fields of `feature_grids.StoredCells`, as 'cell_values' and so on,
            come from the item's own 'features', see `bitdiff_jax.data.features`.
        most_cells: the most cells along a side of an image.
        encoder_size: if above 0, 'encoder_image' uint8 [N, N, 3], with N this number, and
            'encoder_size' int32 [2], for an encoder that is part of the step.
    """

    image_scale: int = 1
    grid: int = 0
    most_cells: int = 0
    encoder_size: int = 0

    def of_view(
        self, item: dict[str, Any], view: View | None, size: tuple[int, int], side: int
    ) -> dict[str, np.ndarray]:
        """The arrays beside 'image' for what an example shows of an item.

        Args:
            item: of a source.
            view: what is shown; None if it is no rectangle of the item's image.
            size: (h, w) that the view fills of the label map's square.
            side: S, pixels along that square.

        Raises:
            InputError: the item has no features, or the augmentation cannot serve them.
        """
        if not (self.grid or self.encoder_size):
            return {}
        if view is None:
            raise InputError(
                "config.data.augment: an encoder's features cannot follow a rotation or "
                "an augmentation without a view; use geometry or none"
            )
        if self.encoder_size:
            return encoder_input(cut(item["image"], view), self.encoder_size)
        if "features" not in item:
            raise InputError(
                f"{item['name']}: the source has no features of its images; write them by "
                "`bitdiff prepare --encoder NAME`"
            )
        cells = item["features"].read(view.mirrored)
        stored = cells.stored(view, size, side, self.grid, self.most_cells)
        return {f"cell_{name}": array for name, array in stored._asdict().items()}


def cut(image: np.ndarray, view: View) -> np.ndarray:
    """The pixels [h, w, 3] that a view shows."""
    height, width = image.shape[:2]
    if view.mirrored:
        image = image[:, ::-1]
    rows = slice(round(view.top * height), round(view.bottom * height))
    return image[rows, round(view.left * width) : round(view.right * width)]


def encoder_input(image: np.ndarray, side: int) -> dict[str, np.ndarray]:
    """An image as an encoder takes it: the longest side brought to `side`, bilinearly.

    Shrinking, each pixel of the source has its share, as where these encoders were trained.

    Args:
        image: uint8 [h, w, 3].
        side: N, the encoder's `image_size`.

    Returns:
        'encoder_image' uint8 [N, N, 3], padded right and below with 0, and 'encoder_size' int32
        [2], (h, w) of its content.
    """
    height, width = transforms.resized_shape(image.shape[0], image.shape[1], side)
    resized = Image.fromarray(np.ascontiguousarray(image)).resize(
        (width, height), Image.Resampling.BILINEAR
    )
    return {
        "encoder_image": transforms.pad_to_square(np.asarray(resized), side),
        "encoder_size": np.array((height, width), np.int32),
    }
