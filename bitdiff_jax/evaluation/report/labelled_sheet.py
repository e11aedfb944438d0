"""Sheets of images and maps with heads and captions, one region in one colour along a row."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bitdiff_jax.evaluation import image_measures
from bitdiff_jax.evaluation.protocols import View
from bitdiff_jax.evaluation.report import matched_colours
from bitdiff_jax.evaluation.report.summary_tables import cut
from bitdiff_jax.metrics import Measure

GAP = 8  # pixels
_HEAD, _CAPTION = 14, 12  # sizes of letters


class SheetRow(NamedTuple):
    """One image with its maps."""

    name: str
    image: np.ndarray | None  # uint8 [h, w, 3]
    annotators: Sequence[np.ndarray]  # int32 [H, W]; the first one is shown
    maps: Sequence[np.ndarray]  # int [h, w] each, the predictions


def sheet(
    rows: Sequence[SheetRow], heads: Sequence[str], view: View, measure: Measure, *, cell: int = 128
) -> np.ndarray:
    """A sheet with rows of an image, the first annotator's map and predictions with their scores.

    Regions have the colour of the region of the shown truth that they share most pixels with, one
    to one. Below each prediction stands the first metric of `measure` of this very map, the mean
    over all annotators of the image.

    Args:
        rows: images with their maps; each has as many maps as there are heads, or fewer.
        heads: heads of the predictions' columns.
        view: the view in which maps are scored.
        measure: the measure by which they are scored.
        cell: longest side, in pixels, of each image and map.

    Returns:
        The sheet, uint8 [H, W, 3].
    """
    with_image = any(row.image is not None for row in rows)
    strips = [_strip([*(["image"] if with_image else []), "truth", *heads], cell, head=True)]
    for row in rows:
        shape = row.annotators[0].shape
        cells = matched_colours.painted([row.annotators[0], *row.maps], cell)
        if with_image:
            image = row.image if row.image is not None else np.full((*shape, 3), 255, np.uint8)
            cells.insert(0, matched_colours.photo(image, cell))
        of = len(row.annotators)
        texts = [row.name, *([f"annotator 1 of {of}" if of > 1 else ""] if with_image else [])]
        texts += [score_text(each, row.annotators, view, measure) for each in row.maps]
        cells += [np.full((1, 1, 3), 255, np.uint8)] * (len(heads) - len(row.maps))
        texts += [""] * (len(heads) - len(row.maps))
        strips += [_beside(cells, cell), _strip(texts, cell)]
    metric = measure.metrics[0]
    note = f"{metric.name}: {metric.label}, of the map above, mean over annotators"
    note += f"; {metric.direction}" if metric.direction else ""
    width = strips[0].shape[1] - 2 * GAP
    strips += [_strip([line], width) for line in _lines(note, width)]
    return np.concatenate(strips)


def _lines(text: str, width: int) -> list[str]:
    """The text in lines of whole words that fit, those of captions, into `width` pixels."""
    font = ImageFont.load_default(_CAPTION)
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def score_text(
    ids: np.ndarray, annotators: Sequence[np.ndarray], view: View, measure: Measure
) -> str:
    """The first metric of one map in words, 'ari 0.713'; '' if it is not defined."""
    value = image_measures.of_sample(ids, annotators, view, measure)
    return f"{measure.name} {value:.3f}" if np.isfinite(value) else ""


def sample_heads(count: int) -> list[str]:
    """Heads of an image's samples."""
    return ["sample"] if count == 1 else [f"sample {i}" for i in range(1, count + 1)]


def _beside(cells: Sequence[np.ndarray], cell: int) -> np.ndarray:
    height = max(len(each) for each in cells)
    row = np.full((height, GAP + len(cells) * (cell + GAP), 3), 255, np.uint8)
    for column, each in enumerate(cells):
        left = GAP + column * (cell + GAP)
        row[: len(each), left : left + each.shape[1]] = each
    return row


def _strip(texts: Sequence[str], cell: int, *, head: bool = False) -> np.ndarray:
    """A line of text, each at the left of its column and cut to its width."""
    size = _HEAD if head else _CAPTION
    strip = Image.new("RGB", (GAP + len(texts) * (cell + GAP), size + 12), "white")
    draw = ImageDraw.Draw(strip)
    font = ImageFont.load_default(size)
    for column, text in enumerate(texts):
        # Names of files may hold line breaks, which cannot be measured or drawn as one line.
        text = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
        shown = text
        while draw.textlength(shown, font) > cell:
            shown = cut(text, len(shown) - 1)
        left = GAP + column * (cell + GAP)
        draw.text((left, 3), shown, fill="black", font=font)
    return np.asarray(strip)
