"""Procedural scenes: textured, lit, overlapping shapes with exact labels, drawn on demand."""

from bitdiff_jax.data.scenes.source import SceneSource

__all__ = ["SceneSource"]
