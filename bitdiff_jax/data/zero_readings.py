"""What id 0 of label maps may mean: asked for where nobody said it and 0 covers much."""

import os
import tempfile
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bitdiff_jax.data import contact_sheet, labelmaps, transforms
from bitdiff_jax.errors import InputError

SHARE = 0.2  # above it, a real region taken for ignored would change what a model learns
_SAMPLE = 64
_CELL, _GAP = 256, 8
_READINGS = {
    "zero=ignore": "not annotated: a model may draw anything on the stripes",
    "zero=background": "one region, known as the background (black); objects are told from it",
    "zero=region": "a region like the others, with a colour like theirs",
}


class Zeros(NamedTuple):
    """How much of some label maps is 0."""

    share: float  # of the pixels, in 0..1
    typical: int  # the place of a map with both, whose own share is nearest to it


def measure(
    count: int, read: Callable[[int], tuple[np.ndarray, ...]], sample: int = _SAMPLE
) -> Zeros:
    """Estimates the share of pixels with id 0 from some label maps, spread evenly.

    Args:
        count: items.
        read: gives the label maps of an item; one that cannot be read plays no part.
        sample: items that are read at most.
    """
    shares: dict[int, float] = {}
    zeros = pixels = 0
    for place in range(0, count, max(1, count // sample))[:sample]:
        try:
            maps = read(place)
        except InputError:
            continue
        found = sum(int((ids == 0).sum()) for ids in maps)
        total = sum(ids.size for ids in maps)
        shares[place] = found / max(1, total)
        zeros, pixels = zeros + found, pixels + total
    share = zeros / max(1, pixels)
    mixed = [place for place, own in shares.items() if 0 < own < 1] or [*shares, 0]
    return Zeros(share, min(mixed, key=lambda place: abs(shares.get(place, 0.0) - share)))


def question(
    place: os.PathLike | str, share: float, ids: np.ndarray, image: np.ndarray | None = None
) -> InputError:
    """The error that asks for a reading, after a sheet of the three was written.

    Args:
        place: what was opened.
        share: of pixels with id 0.
        ids: one of its label maps, int [h, w].
        image: its image, uint8 [h, w, 3]; None if it is not at hand.
    """
    path = _write(contact_sheet.to_png(sheet(ids, image)))
    shown = f"; see them on one of yours: {path}" if path else ""
    return InputError(
        f"{os.fspath(place)}: id 0 covers {share:.0%} of the label maps; say what it means, in the "
        f"spec as in folder:DIR,zero=background, or by --zero where the command has it: "
        "zero=background (nuclei, cells, leaves: all that is no object is one "
        "region), zero=ignore (not annotated: a model may draw anything there) or zero=region (a "
        f"label like the others){shown}"
    )


def sheet(ids: np.ndarray, image: np.ndarray | None = None) -> np.ndarray:
    """The image and the three readings of id 0 side by side, each with its name and what it means.

    Args:
        ids: int [h, w]; negative is ignored in all three.
        image: uint8 [h, w, 3], or None.

    Returns:
        uint8 [H, W, 3].
    """
    height, width = ids.shape
    shape = transforms.resized_shape(height, width, _CELL)
    ids = labelmaps.at_centres(ids, shape)
    # Numbered anew: ids that are far apart may share a colour.
    numbers = labelmaps.renumber(np.where(ids < 0, labelmaps.IGNORE, ids))[1]
    zero = ids == 0
    region = contact_sheet.paint(numbers)
    edge = (region == 255).all(-1)
    background, ignored = region.copy(), region.copy()
    background[zero & ~edge] = 0
    rows, columns = np.indices(shape)
    stripes = np.where((rows + columns) // 6 % 2, 200, 120).astype(np.uint8)[..., None]
    ignored[zero & ~edge] = np.broadcast_to(stripes, region.shape)[zero & ~edge]
    cells = dict(zip(_READINGS, (ignored, background, region), strict=True))
    texts = dict(_READINGS)
    if image is not None:
        cells = {"image": transforms.resize_image(image, shape), **cells}
        texts["image"] = ""
    return np.asarray(_laid_out(cells, texts))


def _laid_out(cells: dict[str, np.ndarray], texts: dict[str, str]) -> Image.Image:
    height = next(iter(cells.values())).shape[0]
    head, text = ImageFont.load_default(16), ImageFont.load_default(12)
    size = (_GAP + len(cells) * (_CELL + _GAP), height + 100)
    whole = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(whole)
    for column, (name, pixels) in enumerate(cells.items()):
        left = _GAP + column * (_CELL + _GAP)
        draw.text((left, 6), name, fill="black", font=head)
        whole.paste(Image.fromarray(pixels), (left, 32))
        lines = [""]
        for word in texts[name].split():
            longer = f"{lines[-1]} {word}".strip()
            lines = [*lines[:-1], longer] if draw.textlength(longer, text) < _CELL else [
                *lines, word,
            ]  # fmt: skip
        draw.text((left, height + 38), "\n".join(lines), fill="black", font=text)
    return whole


def _write(png: bytes) -> str | None:
    """Writes a temporary file; None where there is no room or right for one."""
    try:
        with tempfile.NamedTemporaryFile(
            prefix="bitdiff_zero_", suffix=".png", delete=False
        ) as file:
            file.write(png)
    except OSError:
        return None
    return file.name
