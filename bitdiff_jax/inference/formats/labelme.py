"""The JSON files of labelme: a polygon for each piece of each region."""

import base64
import dataclasses
import io
import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from etils import epath
from PIL import Image

from bitdiff_jax import files
from bitdiff_jax.inference.formats.outlines import TOLERANCE, Polygon, outlines

if TYPE_CHECKING:
    from bitdiff_jax.inference.segmentation import Segmentation

# Of labelme, whose form this is; it reads files of older versions.
_VERSION = "5.5.0"


def single_ring(polygon: Polygon) -> np.ndarray:
    """A polygon with its holes as one ring, joined by slits without width.

    labelme knows no holes. The slits enclose no area, so that the ring covers the same pixels.

    Returns:
        int [n, 2], not closed: the last point is joined to the first.
    """
    ring = polygon.exterior
    for hole in polygon.holes:
        # From the point of the ring that is nearest to the first of the hole, there and back.
        near = int(np.square(ring - hole[0]).sum(axis=1).argmin())
        ring = np.concatenate([ring[: near + 1], hole, ring[near:]])
    return ring[:-1]


def shapes(label_map: np.ndarray, tolerance: float = TOLERANCE) -> list[dict[str, Any]]:
    """The regions as labelme's shapes; those of one region have its id as their group.

    Args:
        label_map: integers [h, w]; ids >= 1 are regions, others are left out.
        tolerance: of the outlines, see `outlines`.

    Raises:
        InputError: as of `outlines`.
    """
    return [
        {
            "label": "region",
            "points": single_ring(polygon).tolist(),
            "group_id": region,
            "description": "",
            "shape_type": "polygon",
            "flags": {},
            "mask": None,
        }
        for region, polygons in outlines(label_map, tolerance).items()
        if region > 0
        for polygon in polygons
    ]


@dataclasses.dataclass(frozen=True)
class LabelmeFormat:
    """NAME_labelme.json of each image, which `labelme NAME_labelme.json` opens.

    It names the image's file, or holds the image if it was read from none.

    Attributes:
        tolerance: of the outlines, pixels.
        suffixes: of the file's name.
    """

    tolerance: float = TOLERANCE
    suffixes: tuple[str, ...] = ("_labelme.json",)

    def __call__(self, segmentation: "Segmentation", folder: epath.Path, name: str) -> None:
        """As `Format.__call__`.

        Raises:
            InputError: the place cannot be written, or the tolerance is no tolerance.
        """
        height, width = segmentation.shape
        content: dict[str, Any] = {
            "version": _VERSION,
            "flags": {},
            "shapes": shapes(segmentation.label_map(), self.tolerance),
            "imagePath": _path_from(folder, segmentation.file)
            if segmentation.file
            else f"{name}.png",
            "imageData": None if segmentation.file else _as_base64(segmentation.image),
            "imageHeight": height,
            "imageWidth": width,
        }
        files.write(folder / f"{name}{self.suffixes[0]}", json.dumps(content).encode())


def _as_base64(image: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _path_from(folder: epath.Path, file: str) -> str:
    """The image's path as seen from the folder; whole if one of them is in a bucket."""
    if "://" in file or "://" in os.fspath(folder):
        return file
    return os.path.relpath(os.path.realpath(file), os.path.realpath(folder))
