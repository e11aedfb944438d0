"""The regions of one label map as a table."""

import dataclasses

import numpy as np
from scipy import ndimage

from bitdiff_jax.data import labelmaps
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import specks


@dataclasses.dataclass(frozen=True)
class Region:
    """One region; positions in pixels of the picture, rows from the top, columns from the left.

    Attributes:
        id: its number in the label map, 1..n; the background, 0, is no such region.
        area: pixels.
        box: (top, left, bottom, right), the smallest box around it; bottom and right are the first
            row and column outside.
        centroid: (row, column) of its centre of mass, 0 being the centre of the first pixel; a
            region in several pieces or bent around another may not contain it.
        mean_color: (red, green, blue) in 0..255.
        agreement: mean over its pixels of how much the samples agree; None for a single sample.
        pieces: number of its connected pieces, whose pixels share a side. One object may be in
            several, as one behind a pole is.
        area_interval: (low, high) of the area, in pixels, of the region in its place in a sample,
            see `sample_statistics.area_intervals`; None for a single sample. Samples are measured
            on a copy of the picture of at most three times the network's resolution, and areas are
            scaled.
    """

    id: int
    area: int
    box: tuple[int, int, int, int]
    centroid: tuple[float, float]
    mean_color: tuple[float, float, float]
    agreement: float | None
    pieces: int = 1
    area_interval: tuple[int, int] | None = None


def number(codes: np.ndarray, has_background: bool = False) -> np.ndarray:
    """Numbers the regions of a map 1..n, the largest first; of equal areas the lowest code first.

    Args:
        codes: integers [h, w], >= 0; each distinct value is one region.
        has_background: code 0 is the background, which keeps 0.

    Returns:
        int32 [h, w], every id from 1 to n occurs.
    """
    values, dense = labelmaps.renumber(codes)
    areas = np.bincount(dense.ravel())
    order = np.argsort(-areas, kind="stable")
    if has_background:
        order = order[values[order] != 0]
    ids = np.zeros(len(areas), np.int32)
    ids[order] = np.arange(1, len(order) + 1)
    return ids[dense]


def measure(
    label_map: np.ndarray, image: np.ndarray, agreement: np.ndarray | None = None
) -> list[Region]:
    """Measures every region of a label map.

    Args:
        label_map: int32 [h, w], ids 1..n, all of which occur; 0, the background, may.
        image: uint8 [h, w, 3].
        agreement: float32 [h, w], or None.

    Returns:
        The regions, by ascending id.

    Raises:
        InputError: shapes differ, or the ids are not 0..n.
    """
    if image.shape != (*label_map.shape, 3) or (
        agreement is not None and agreement.shape != label_map.shape
    ):
        raise InputError(
            f"label_map is {label_map.shape}, image {image.shape} and agreement "
            f"{None if agreement is None else agreement.shape}; they must be of one picture"
        )
    ids = label_map.ravel()
    areas = np.bincount(np.maximum(ids, 0))[1:]
    if ids.min() < 0 or not areas.all():
        raise InputError("label_map must hold all ids from 1 to n; number its regions first")

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(ids, np.broadcast_to(values, label_map.shape).ravel())[1:] / areas

    rows, columns = np.ogrid[: label_map.shape[0], : label_map.shape[1]]
    centroids = np.stack([mean(rows), mean(columns)], axis=1)
    colors = np.stack([mean(image[..., channel]) for channel in range(3)], axis=1)
    agreements = None if agreement is None else mean(agreement)
    boxes = ndimage.find_objects(label_map)
    # All at once: regions may be many, and each strewn over all of the picture.
    piece = specks.pieces(label_map).ravel()
    region_of = np.zeros(int(piece.max()) + 1, ids.dtype)
    region_of[piece] = ids
    pieces = np.bincount(region_of, minlength=len(areas) + 1)[1:]
    return [
        Region(
            id=i + 1,
            area=int(areas[i]),
            box=(box[0].start, box[1].start, box[0].stop, box[1].stop),
            centroid=(float(centroids[i, 0]), float(centroids[i, 1])),
            mean_color=(float(colors[i, 0]), float(colors[i, 1]), float(colors[i, 2])),
            agreement=None if agreements is None else float(agreements[i]),
            pieces=int(pieces[i]),
        )
        for i, box in enumerate(boxes)
    ]
