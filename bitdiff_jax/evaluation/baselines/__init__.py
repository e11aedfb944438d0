"""What a picture's segmentation is worth without learning: tuned classical methods.

    settings = baselines.kept("bsds500")["felzenszwalb"]
    labels = baselines.segment(image, "felzenszwalb", **settings)

`benchmarks/quality/classical.py` tunes them on one set of pictures and scores them on
another. Needs the extra `baselines`, from the first use of a method on.
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
