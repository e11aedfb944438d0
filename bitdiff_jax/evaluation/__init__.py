"""How good segmentations are, a model's or anyone's: maps -> figures per picture -> tables.

`drawing` samples a model's maps in padded batches of one shape through one compiled function, and
`others` reads what other tools have written; `scoring` holds either against every annotator, in
each of the `views`; `rows` keeps what was found, `presentation` and `report` show it. `evaluate`
does it all for a model and one source, `on_files.run` for files.
"""

from bitdiff_jax.evaluation.drawing import Drawn, draw, sampling_settings
from bitdiff_jax.evaluation.run import Evaluation, draw_some, evaluate
from bitdiff_jax.evaluation.scoring import Scoring
from bitdiff_jax.evaluation.statistics.estimates import Estimate

__all__ = [
    "Drawn",
    "Estimate",
    "Evaluation",
    "Scoring",
    "draw",
    "draw_some",
    "evaluate",
    "sampling_settings",
]
