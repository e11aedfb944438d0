"""The domain of each setting, by its key."""

import typing
from collections.abc import Mapping
from typing import Any

import ml_collections

from bitdiff_jax import config as config_lib
from bitdiff_jax.config_checks import combinations
from bitdiff_jax.config_checks.domains import (
    Choice,
    Devices,
    Domain,
    Flag,
    Real,
    Several,
    Text,
    Whole,
)
from bitdiff_jax.data import transforms
from bitdiff_jax.diffusion import (
    losses,
    parameterization,
    sampler,
    schedules,
    step_methods,
    time_grids,
    times,
    weighting,
)
from bitdiff_jax.diffusion.variance_preserving import LOGSNR_LIMITS
from bitdiff_jax.encoding import interface as encodings
from bitdiff_jax.encoding import layouts, palette
from bitdiff_jax.errors import InputError
from bitdiff_jax.nets.encoders import registry as encoders

_POSITIVE = Real(0, open_low=True)
_SHARE = Real(0, 1, open_high=False)
# As in an exponential moving average, where 1 would never move.
_DECAY = Real(0, 1)
_COUNT, _NATURAL = Whole(1), Whole(0)
_LOGSNR = Real(*LOGSNR_LIMITS, open_high=False)

CHECKS: dict[str, Domain] = {
    # Beyond 32 bits jax drops the upper ones without a word.
    "seed": Whole(0, 2**32 - 1),
    "model.image_size": _COUNT,
    "model.encoding": Choice(encodings.NAMES, extensible=True),
    "model.num_bits": Whole(1, 30),
    "model.prediction": Choice(typing.get_args(parameterization.Prediction)),
    "model.time_input": Choice(("logsnr", "t")),
    "model.net.implementation": Choice(("auto", "plain", "fused"), extensible=True),
    "model.net.base_channels": _COUNT,
    "model.net.channel_multipliers": Several(_COUNT, 1, "(1,2,2)"),
    "model.net.blocks_per_level": _COUNT,
    "model.net.attention_levels": Several(Whole(-64, 63), 0, "(-2,-1)"),
    "model.net.num_heads": _COUNT,
    "model.net.patch_size": _COUNT,
    "model.net.pixel_channels": _NATURAL,
    "model.net.time_max_period": _POSITIVE,
    "model.net.time_scale": _POSITIVE,
    "model.net.time_conditioning": Choice(("additive", "scale_shift")),
    "model.net.dtype": Choice(("float32", "bfloat16", "float16")),
    "model.net.remat": Flag(),
    "model.net.fold": Flag(),
    "model.net.attention_chunk": _NATURAL,
    "model.image_scale": Whole(1, 64),
    "model.encoder.name": Choice(("none", *encoders.NAMES), extensible=True),
    "model.encoder.image_size": _NATURAL,
    "model.encoder.weights": Text(),
    "model.encoder.grid": _COUNT,
    "model.encoder.channels": _COUNT,
    "model.encoder.scale": _POSITIVE,
    "model.encoder.tuned": Flag(),
    "model.schedule.name": Choice(tuple(schedules.SCHEDULES)),
    "model.schedule.input_scale": _POSITIVE,
    "model.schedule.logsnr_min": _LOGSNR,
    "model.schedule.logsnr_max": _LOGSNR,
    "model.palette.layout": Choice((*layouts.LAYOUTS, "none")),
    "model.palette.order": Choice(typing.get_args(palette.Order)),
    "model.palette.frame": Choice(typing.get_args(palette.Frame)),
    "model.palette.excess": Choice(typing.get_args(palette.Excess)),
    "model.palette.choice": Choice(typing.get_args(palette.Choice)),
    "model.palette.seed": _NATURAL,
    "model.palette.keep_smallest": Flag(),
    "model.palette.max_regions": Whole(1, 65_536),
    "model.palette.background": Flag(),
    "model.objective.weight": Choice(tuple(weighting.WEIGHTS), extensible=True),
    "model.objective.bias": Real(),
    "model.objective.decoupled": Flag(),
    "model.objective.loss": Choice(tuple(losses.LOSSES), extensible=True),
    "model.objective.times": Choice(tuple(times.TIMES)),
    "model.prompts.granularity": _SHARE,
    "model.prompts.region": _SHARE,
    "model.prompts.codes": _SHARE,
    "model.objective.image_keep": _SHARE,
    "model.objective.feature_dropout": Real(0, 1),
    "model.objective.region_balance": _SHARE,
    "model.objective.self_condition": _SHARE,
    "model.objective.padding": Choice(("exclude", "as_released")),
    "model.objective.ignored": Choice(("nearest", "as_released")),
    "optimizer.name": Choice(("adamw", "muon")),
    "optimizer.learning_rate": _POSITIVE,
    "optimizer.encoder_learning_rate": _POSITIVE,
    "optimizer.warmup_steps": _NATURAL,
    "optimizer.decay_steps": _NATURAL,
    "optimizer.b1": _DECAY,
    "optimizer.b2": _DECAY,
    "optimizer.eps": _POSITIVE,
    "optimizer.weight_decay": Real(0),
    "optimizer.clip_norm": Real(0, open_low=True, open_high=False),
    "optimizer.ema_decay": _DECAY,
    "optimizer.ema_warmup": Flag(),
    "data.train": Text(),  # whether it is said at all, `training.setup` asks
    "data.augment": Choice(("default", "geometry", "none", "as_released")),
    "data.features": Choice(("auto", "cache", "step")),
    "data.keep_scale": _NATURAL,
    "data.label_resize": Choice(typing.get_args(transforms.LabelMethod)),
    "data.label_padding": Choice(typing.get_args(transforms.LabelPadding)),
    "data.num_workers": Whole(0, 1024),
    "data.num_threads": Whole(0, 1024),
    "data.trained_on": Text(),
    "train.num_steps": _COUNT,
    "train.batch_size": _COUNT,
    "train.accumulate": _COUNT,
    "train.log_every": _NATURAL,
    "train.log_seconds": Real(0),
    "train.eval_every": _NATURAL,
    "train.checkpoint_every": _NATURAL,
    "train.keep_checkpoints": _COUNT,
    "train.keep_every": _NATURAL,
    "train.keep_best": _NATURAL,
    "train.best_by": Choice(
        tuple(f"eval/{name}" for name in config_lib.HIGHER_IS_BETTER),
        hint="what the evaluation gives and of which more is better",
    ),
    "train.on_nonfinite": Choice(("stop", "skip")),
    "train.max_skipped": _NATURAL,
    "sampling.weights": Choice(("ema", "raw")),
    "sampling.method": Choice(sampler.METHODS, extensible=True),
    "sampling.num_steps": _COUNT,
    "sampling.guidance_weight": Real(optional=True),
    "sampling.eta": _SHARE,
    "sampling.clip": Flag(),
    "sampling.variance": Choice(typing.get_args(step_methods.Variance)),
    "sampling.eps_after_clip": Flag(),
    "sampling.final": Choice(typing.get_args(sampler.Final)),
    "sampling.decoder": Choice(typing.get_args(sampler.Decoder)),
    "sampling.temperature": Real(0),
    "sampling.time_grid": Choice(typing.get_args(time_grids.TimeGrid)),
    "eval.data": Text(),
    "eval.num_images": _COUNT,
    "eval.batch_size": _COUNT,
    "eval.score_size": _NATURAL,
    "telemetry.tensorboard": Flag(),
    "telemetry.peak_flops": Real(0),
    "telemetry.profile_start": _NATURAL,
    "telemetry.profile_steps": _COUNT,
    "telemetry.transfer_guard": Choice(("allow", "log", "disallow")),
    "telemetry.debug_nans": Flag(),
    "mesh.data": Devices(),
    "mesh.fsdp": Devices(),
    "mesh.rules": Several(Text("'PATTERN WHERE'"), 1, "('.*/qkv/.* replicate','.* fsdp')"),
    "mesh.fsdp_min_bytes": _NATURAL,
    "mesh.cpu_devices": Whole(1, 1024),
    "hosts.cluster": Choice(("auto", "none", "explicit", "slurm", "tpu")),
    "hosts.coordinator": Text(),
    "hosts.num_processes": _NATURAL,
    "hosts.process_id": Whole(-1),
    "hosts.start_timeout": _COUNT,
    "hosts.heartbeat_timeout": _COUNT,
    "hosts.shutdown_timeout": _COUNT,
}


def check(config: ml_collections.ConfigDict) -> None:
    """Refuses a config with a setting that cannot be used.

    Nothing is compiled or opened, and no device is used; `training.setup.prepare` checks settings
    against data and devices.

    Args:
        config: a whole config.

    Raises:
        InputError: a setting cannot be used, or a key is missing. The message names the first such
            setting, its value and what to use instead.
    """
    values = settings(config)
    for key in settings(config_lib.default()):
        if key not in values:
            raise InputError(f"config.{key} is missing; start from bitdiff_jax.config.default()")
    check_values(values)
    combinations.check(config)


def check_values(values: Mapping[str, Any]) -> None:
    """Refuses a value outside its domain.

    Args:
        values: values by dotted keys, such as 'sampling.num_steps'.

    Raises:
        InputError: a value is outside its domain; the message says what to use instead.
    """
    for key, domain in CHECKS.items():
        if key in values and (remedy := domain.remedy(values[key])):
            raise InputError(f"config.{key} is {values[key]!r}; {remedy}")


def settings(config: ml_collections.ConfigDict, prefix: str = "") -> dict[str, Any]:
    """All values of a config by their dotted keys."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, ml_collections.ConfigDict):
            found |= settings(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
