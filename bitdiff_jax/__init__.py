"""bitdiff_jax: class-agnostic image segmentation by bit diffusion, in JAX.

The ground floor (`diffusion`, `encoding`, `metrics`) is pure functions of arrays and imports only
jax and numpy, so its parts can be reused in any other JAX project:

    from bitdiff_jax.diffusion import schedules
    from bitdiff_jax.encoding import bits, palette
"""

__version__ = "0.1.0"
