"""Encodings: label maps to and from what diffuses, as pure functions of arrays."""

from bitdiff_jax.encoding.interface import Encoding, make

__all__ = ["Encoding", "make"]
