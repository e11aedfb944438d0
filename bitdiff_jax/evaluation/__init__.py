"""Evaluation of segmentations of a model or any other tool: maps -> metrics per image -> tables.

`source_maps` draws a model's maps of a source, by the engine of `inference.drawing`, and
`predictions` reads the files of other tools. `scoring` compares either with every annotator, in
each `View` of `protocols`. `rows` keeps the metrics of each image, and `report` shows them.
`evaluate` does all of this for a model and one source, `on_files.run` for files.
"""

from bitdiff_jax.evaluation.run import Evaluation, evaluate
from bitdiff_jax.evaluation.scoring import Scoring
from bitdiff_jax.evaluation.source_maps import draw_some, draw_source
from bitdiff_jax.evaluation.statistics.estimates import Estimate
from bitdiff_jax.inference.drawing import Drawn

__all__ = [
    "Drawn",
    "Estimate",
    "Evaluation",
    "Scoring",
    "draw_some",
    "draw_source",
    "evaluate",
]
