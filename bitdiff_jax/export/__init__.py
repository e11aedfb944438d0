"""Models that leave this package.

`sampler.export_sampler` writes the whole sampler as one program that JAX alone runs, and
`onnx_denoiser.export_denoiser` the network for onnxruntime; `run_sampler` and `run_onnx` are the
programs that go with them.
"""

from bitdiff_jax.export.onnx_denoiser import export_denoiser
from bitdiff_jax.export.sampler import Exported, export_sampler

__all__ = ["Exported", "export_denoiser", "export_sampler"]
