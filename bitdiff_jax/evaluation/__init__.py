"""How good segmentations are, a model's or anyone's: maps -> figures per picture -> tables.

`source_maps` draws a model's maps of a source, by the engine of `inference.drawing`, and
`predictions` reads what other tools have written; `scoring` holds either against every annotator,
in each view of a `protocol`; `rows` keeps what was found, `report` shows it. `evaluate` does it all
for a model and one source, `on_files.run` for files.
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
