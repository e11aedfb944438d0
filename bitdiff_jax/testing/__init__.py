"""Denoisers known in closed form and stubs, shared by tests and benchmarks."""

from bitdiff_jax.testing import exact

__all__ = ["exact"]
