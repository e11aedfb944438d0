"""How good a model's drawn maps are: pictures -> maps -> figures per picture -> tables.

`drawing` samples maps in padded batches of one shape through one compiled function; `scoring` holds
each against every annotator; `tables` averages, with intervals, and writes; `evaluate` does it all
for one source.
"""

from bitdiff_jax.evaluation.drawing import Drawn, draw, sampling_settings
from bitdiff_jax.evaluation.run import Evaluation, evaluate
from bitdiff_jax.evaluation.scoring import Row, score
from bitdiff_jax.evaluation.tables import Estimate, summarise

__all__ = [
    "Drawn",
    "Estimate",
    "Evaluation",
    "Row",
    "draw",
    "evaluate",
    "sampling_settings",
    "score",
    "summarise",
]
