"""Checkpoints on disk or in a bucket; the only room that knows orbax.

A run's folder holds `checkpoints/STEP/{state, about, checksums}`: the training state, a JSON of the
config, the kind of images it was trained on and a fingerprint of its input, and a checksum of
each tensor and of that JSON; and `scores.json`, if the step was evaluated. A step is written under
a temporary name and renamed at the end, so a killed process leaves the earlier steps whole. Damage
on the disk is found when a step is read, because the checksums are computed anew. A damaged step is
never used, and a resumed training moves it to `quarantine/`.
"""

from bitdiff_jax.checkpoint.faults import Damaged
from bitdiff_jax.checkpoint.recovery import restore_last_good
from bitdiff_jax.checkpoint.store import Checkpoints, describe, open_for_reading

__all__ = [
    "Checkpoints",
    "Damaged",
    "describe",
    "open_for_reading",
    "restore_last_good",
]
