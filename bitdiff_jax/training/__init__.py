"""Training: state, optimizer, step, and the loop.

`loop` is the one script to read from top to bottom; `setup` puts together what it needs.
"""

from bitdiff_jax.training.loop import train
from bitdiff_jax.training.setup import Setup, prepare
from bitdiff_jax.training.state import TrainState, init_state
from bitdiff_jax.training.step import make_train_step

__all__ = ["Setup", "TrainState", "init_state", "make_train_step", "prepare", "train"]
