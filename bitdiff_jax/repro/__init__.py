"""The ledger: each claim of the paper as a value, measured by one command.

`claims` says what a claim is and `catalogue` has all of them; `runner` trains and scores what they
need, `verdicts` decides by paired sign tests, and `page` writes docs/ledger.md from the rows.
"""

from bitdiff_jax.repro.arms import Evaluation, Training
from bitdiff_jax.repro.catalogue import CLAIMS
from bitdiff_jax.repro.claims import Claim, Comparison
from bitdiff_jax.repro.runner import Runner
from bitdiff_jax.repro.verdicts import Judged, judge

__all__ = ["CLAIMS", "Claim", "Comparison", "Evaluation", "Judged", "Runner", "Training", "judge"]
