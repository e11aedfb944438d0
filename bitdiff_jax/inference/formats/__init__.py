"""What a segmentation is written as: a format is any function `write(segmentation, folder, name)`.

`FORMATS` has those of the package by name, and docs/formats.md tells who reads them. They stand in
this room, since `Segmentation.save` writes them. What needs no samples takes a label map alone:
`outlines` (polygons that share their borders), `run_lengths` and `segment_colours` (COCO's masks),
and `labelme_shapes`.
"""

from bitdiff_jax.inference.formats.by_name import (
    DEFAULT,
    FORMATS,
    POSTERIOR,
    of_folders,
    open_formats,
    suffixes_of,
    with_tolerance,
    write,
)
from bitdiff_jax.inference.formats.coco_instances import annotations as coco_annotations
from bitdiff_jax.inference.formats.coco_panoptic import segment_colours
from bitdiff_jax.inference.formats.hypotheses import stack as hypotheses
from bitdiff_jax.inference.formats.imagej_rois import rois as imagej_rois
from bitdiff_jax.inference.formats.labelme import shapes as labelme_shapes
from bitdiff_jax.inference.formats.outlines import Polygon, outlines
from bitdiff_jax.inference.formats.protocol import FolderFormat, Format
from bitdiff_jax.inference.formats.qupath_geojson import feature_collection
from bitdiff_jax.inference.formats.run_length import run_lengths

__all__ = [
    "DEFAULT",
    "FORMATS",
    "POSTERIOR",
    "FolderFormat",
    "Format",
    "Polygon",
    "coco_annotations",
    "feature_collection",
    "hypotheses",
    "imagej_rois",
    "labelme_shapes",
    "of_folders",
    "open_formats",
    "outlines",
    "run_lengths",
    "segment_colours",
    "suffixes_of",
    "with_tolerance",
    "write",
]
