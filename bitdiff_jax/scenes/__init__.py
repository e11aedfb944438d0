"""Procedural scenes, drawn on demand with exact labels or an exact posterior over them."""

from bitdiff_jax.scenes.posterior_source import PosteriorSource
from bitdiff_jax.scenes.scene_source import SceneSource

__all__ = ["PosteriorSource", "SceneSource"]
