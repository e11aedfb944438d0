"""Ahead-of-time compilation for a machine that is not there: what would fit, and what it costs."""

from bitdiff_jax.compile.accelerators import Accelerator, find
from bitdiff_jax.compile.programs import lower

__all__ = ["Accelerator", "find", "lower"]
