"""Segmentation without learning, as a baseline: classical methods with tuned settings.

    settings = baselines.kept("bsds500")["felzenszwalb"]
    labels = baselines.segment(image, "felzenszwalb", **settings)

`benchmarks/quality/classical.py` tunes them on one set of images and scores them on another. Most
methods need the extra `baselines` when they are used.
"""

from bitdiff_jax.evaluation.baselines.methods import METHODS, Method, segment
from bitdiff_jax.evaluation.baselines.tuning import (
    LabelledImage,
    Scores,
    keep,
    kept,
    rows_of,
    score,
    tune,
)

__all__ = [
    "METHODS",
    "LabelledImage",
    "Method",
    "Scores",
    "keep",
    "kept",
    "rows_of",
    "score",
    "segment",
    "tune",
]
