"""Ahead-of-time compilation for machines that are not present: what fits, and what it costs."""

from bitdiff_jax.compile.accelerators import Accelerator, find
from bitdiff_jax.compile.lowering import lower

__all__ = ["Accelerator", "find", "lower"]
