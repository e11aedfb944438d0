"""Models that leave this package: the whole sampler as one program that JAX alone runs.

`sampler.export_sampler` writes a folder; `run_sampler` is the program that goes with it.
"""

from bitdiff_jax.export.sampler import Exported, export_sampler

__all__ = ["Exported", "export_sampler"]
