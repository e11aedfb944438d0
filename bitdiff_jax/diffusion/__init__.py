"""Diffusion as pure functions of arrays: no network, no config, no random state held.

Example:
    schedule = schedules.cosine(input_scale=0.1)
    sampler = Sampler(num_steps=8, guidance_weight=1.0, method=Ddim())
    x0 = sample(denoise_fn, x_init, cond, sampler, schedule=schedule)
"""

from bitdiff_jax.diffusion import (
    bound,
    losses,
    parameterization,
    presets,
    schedules,
    times,
    weighting,
)
from bitdiff_jax.diffusion.losses import Loss
from bitdiff_jax.diffusion.multistep_methods import Dpmpp2M, MultistepMethod
from bitdiff_jax.diffusion.presets import ACCURATE, FAITHFUL
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.diffusion.sampling import Trajectory, sample
from bitdiff_jax.diffusion.step_methods import Ddim, Ddpm, StepMethod
from bitdiff_jax.diffusion.variance_preserving import Schedule, input_scaled
from bitdiff_jax.diffusion.weighting import Weight

__all__ = [
    "ACCURATE",
    "FAITHFUL",
    "Ddim",
    "Ddpm",
    "Dpmpp2M",
    "Loss",
    "MultistepMethod",
    "Sampler",
    "Schedule",
    "StepMethod",
    "Trajectory",
    "Weight",
    "bound",
    "input_scaled",
    "losses",
    "parameterization",
    "presets",
    "sample",
    "schedules",
    "times",
    "weighting",
]
