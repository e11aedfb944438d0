"""Inference: images in, label maps, agreement and regions out.

Example:
    segmenter = Segmenter.from_pretrained("photos")  # or the --workdir of a training
    result = segmenter("photo.jpg", num_samples=4)
    result.label_map()  # int32 [h, w], one map for all samples: their consensus
    result.agreement  # float32 [h, w], how much the samples agree there
    result.regions()  # one row per region
"""

from bitdiff_jax.inference import formats
from bitdiff_jax.inference.canvas import Canvas
from bitdiff_jax.inference.drawing import Drawn, Item, draw
from bitdiff_jax.inference.editor import Editor
from bitdiff_jax.inference.formats import FolderFormat, Format
from bitdiff_jax.inference.imposed import Constraints
from bitdiff_jax.inference.likelihood import LogProb
from bitdiff_jax.inference.loading import Loaded, load
from bitdiff_jax.inference.packing import pack
from bitdiff_jax.inference.region_table import Region
from bitdiff_jax.inference.request import Request
from bitdiff_jax.inference.segmentation import Segmentation
from bitdiff_jax.inference.segmenter import Segmenter
from bitdiff_jax.inference.surprise import RegionSurprise, Surprise

__all__ = [
    "Canvas",
    "Constraints",
    "Drawn",
    "Editor",
    "FolderFormat",
    "Format",
    "Item",
    "Loaded",
    "LogProb",
    "Region",
    "RegionSurprise",
    "Request",
    "Segmentation",
    "Segmenter",
    "Surprise",
    "draw",
    "formats",
    "load",
    "pack",
]
