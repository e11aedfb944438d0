"""Distributions over partitions: what many label maps of one image say together.

Pure functions of label maps, numpy and scipy only; no network. The maps may be samples of a model,
of other tools, or the maps of several people.

Example:
    posterior = Posterior.from_maps(label_maps)  # integers [n, h, w]
    posterior.consensus()  # int32 [h, w], one map for all
    posterior.prob_same((10, 10), (40, 60))  # how probably two points lie in one region
    posterior.measure(measures.count()).interval(0.9)  # how many regions
"""

from bitdiff_jax.posterior import measures
from bitdiff_jax.posterior.appearance import Appearance
from bitdiff_jax.posterior.credible import CredibleBall
from bitdiff_jax.posterior.distributions import Distribution
from bitdiff_jax.posterior.explanation import Decision, Explanation
from bitdiff_jax.posterior.modes import Mode
from bitdiff_jax.posterior.posterior import Posterior
from bitdiff_jax.posterior.questions import Question

__all__ = [
    "Appearance",
    "CredibleBall",
    "Decision",
    "Distribution",
    "Explanation",
    "Mode",
    "Posterior",
    "Question",
    "measures",
]
