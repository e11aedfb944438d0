"""What was measured of a compiled program -> the figures to show."""

import dataclasses
from typing import Any

import jax
import ml_collections
import numpy as np

from bitdiff_jax import flops
from bitdiff_jax import model as model_lib
from bitdiff_jax.compile import accelerators
from bitdiff_jax.compile.remote import Measured
from bitdiff_jax.diffusion import sampler as sampler_lib
from bitdiff_jax.tools.xla_cost.costs import Costs, costs


@dataclasses.dataclass(frozen=True)
class Report:
    """The figures of one program on one accelerator; per device and run unless said otherwise.

    Attributes:
        measured: what the compiler said.
        devices: chips.
        chip: their kind.
        parameters: of the network.
        dtype: of its computation.
        config_batch: the config's global batch.
        learning_rate: the config's.
        model_flops: analytic, see `bitdiff_jax.flops`.
        needed: bytes of memory.
        usable: bytes that there are.
        costs: from the text of the compiled program; None if it does not fit.
        predicted_seconds: from the compiler's estimate of cycles; None where there is none.
        peak_seconds: at the chip's peaks, see `Costs.seconds`.
        utilisation: model FLOPs by the chip's peak and the predicted time.
    """

    measured: Measured
    devices: int
    chip: str
    parameters: int
    dtype: str
    config_batch: int
    learning_rate: float
    model_flops: int
    needed: int
    usable: int
    costs: Costs | None
    predicted_seconds: float | None
    peak_seconds: float | None
    utilisation: float | None

    @property
    def fits(self) -> bool:
        """Whether a device has room for it."""
        return self.needed <= self.usable

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return {**dataclasses.asdict(self), "fits": self.fits}


def make(measured: Measured, text: str, config: ml_collections.ConfigDict) -> Report:
    """Draws up the figures.

    Args:
        measured: what the compiler said.
        text: of the compiled program; '' if it does not fit.
        config: the config that it was compiled for.
    """
    accelerator = accelerators.find(measured.accelerator)
    chip = accelerator.chip
    model = model_lib.from_config(config)
    params = jax.eval_shape(model.init, jax.random.key(0))
    total = costs(text, chip) if text else None
    if measured.program == "train":
        model_flops = flops.train_step_flops(model, measured.per_device)
    else:
        sampler = sampler_lib.from_settings(config.sampling)
        model_flops = flops.sample_flops(
            model, measured.per_device, sampler.num_steps, sampler.guided
        )
    predicted = total.cycles / chip.clock if total and total.cycles and chip.clock else None
    return Report(
        measured=measured,
        devices=accelerator.devices,
        chip=chip.kind,
        parameters=sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(params)),
        dtype=config.model.net.dtype,
        config_batch=config.train.batch_size,
        learning_rate=config.optimizer.learning_rate,
        model_flops=model_flops,
        needed=measured.memory_needed(),
        usable=chip.usable,
        costs=total,
        predicted_seconds=predicted,
        peak_seconds=total.seconds if total else None,
        utilisation=model_flops / (predicted * chip.peak_flops) if predicted else None,
    )
