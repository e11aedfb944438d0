"""What the samples of one image say together, as files: boundary probability and modes."""

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from etils import epath
from PIL import Image, ImageDraw, ImageFont

from bitdiff_jax import files
from bitdiff_jax.data import transforms
from bitdiff_jax.inference import outputs
from bitdiff_jax.posterior import Mode

if TYPE_CHECKING:
    from bitdiff_jax.inference.segmentation import Segmentation

MODES = "modes.csv"
MODE_COLUMNS = ("image", "file", "mode", "weight", "num_regions", "sample")
NUM_MODES = 3
# Of fewer samples `bitdiff segment` writes no boundary probability and no modes: they would come in
# steps of more than an eighth, and a mode would be one sample.
MIN_SAMPLES = 8
_SAMPLES_PER_MODE = 4
_CELL = 512  # pixels of the longest side of a mode in the picture of all
_GAP = 6


def modes_of(segmentation: "Segmentation") -> list[Mode]:
    """The modes that are written: as many as there are four samples for, up to `NUM_MODES`.

    Returns:
        The modes, the most probable first; none of fewer than `MIN_SAMPLES`.
    """
    count = segmentation.num_samples
    if count < MIN_SAMPLES:
        return []
    return segmentation.modes(min(NUM_MODES, count // _SAMPLES_PER_MODE))


def mode_fields(name: str, file: str, modes: Iterable[Mode]) -> list[Sequence[str]]:
    """The rows of one image in modes.csv, see `MODE_COLUMNS`.

    Args:
        name: of the image among the results.
        file: from which it was read.
        modes: of the image, label maps with ids 1..n.
    """
    return [
        [name, file, str(number), f"{mode.weight:.4f}"]
        + [str(mode.label_map.max()), str(mode.medoid)]
        for number, mode in enumerate(modes, 1)
    ]


def modes_side_by_side(image: np.ndarray, modes: Iterable[Mode]) -> np.ndarray:
    """The regions of each mode over the image, and below them the mode's weight.

    Args:
        image: uint8 [h, w, 3].
        modes: at least one, label maps with ids 1..n.

    Returns:
        uint8 [H, W, 3].
    """
    height, width = image.shape[:2]
    shape = transforms.resized_shape(height, width, min(_CELL, max(height, width)))
    smaller = transforms.resize_image(image, shape)
    tiles = []
    for number, mode in enumerate(modes, 1):
        labels = transforms.resize_labels(mode.label_map, shape, "majority")
        caption = f"mode {number}: {100 * mode.weight:.0f} %, {mode.label_map.max()} regions"
        tiles.append(_captioned(outputs.overlay(smaller, labels), caption))
    height = max(len(each) for each in tiles)
    frame = [np.pad(each, ((0, height - len(each)), (0, _GAP), (0, 0)), constant_values=255)
             for each in tiles]  # fmt: skip
    return np.concatenate(frame, axis=1)[:, :-_GAP]


def save_array(path: epath.PathLike, array: np.ndarray) -> None:
    """Writes an array as npy.

    Raises:
        InputError: the place cannot be written.
    """
    buffer = io.BytesIO()
    np.save(buffer, array)
    files.write(path, buffer.getvalue())


def _captioned(picture: np.ndarray, caption: str) -> np.ndarray:
    """The picture, uint8 [h, w, 3], on white above black words; wider if these need it."""
    size = int(np.clip(picture.shape[1] // 32, 11, 16))
    font, space = ImageFont.load_default(size), size // 3
    needed = outputs.write_words(None, (0, 0), caption, font, space) + size
    width = max(picture.shape[1], needed)
    strip = Image.new("RGB", (width, 2 * size), "white")
    outputs.write_words(ImageDraw.Draw(strip), (size // 2, size // 2), caption, font, space)
    wide = np.pad(picture, ((0, 0), (0, width - picture.shape[1]), (0, 0)), constant_values=255)
    return np.concatenate([wide, np.asarray(strip)])
