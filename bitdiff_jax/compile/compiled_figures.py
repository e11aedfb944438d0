"""Makes the report of a compiled program from its measurements."""

import dataclasses
from typing import Any

import jax
import ml_collections
import numpy as np

from bitdiff_jax import flops, model_config
from bitdiff_jax.compile import accelerators
from bitdiff_jax.compile.remote import Measured
from bitdiff_jax.diffusion import sampler as sampler_lib
from bitdiff_jax.tools.xla_cost.costs import Costs, costs


@dataclasses.dataclass(frozen=True)
class Report:
    """The numbers of one program on one accelerator, per device and run unless said otherwise.

    Attributes:
        measured: measurements of the compiler.
        devices: number of chips.
        chip: kind of the chips.
        parameters: number of parameters of the network.
        dtype: compute dtype of the network.
        config_batch: global batch size of the config.
        learning_rate: learning rate of the config.
        model_flops: FLOPs of the model by its definition, see `bitdiff_jax.flops`.
        needed: bytes of memory that the program needs.
        usable: bytes of memory that a program may use.
        costs: costs from the text of the compiled program; None if it does not fit.
        predicted_seconds: seconds by the compiler's estimate of cycles; None without an estimate.
        peak_seconds: seconds at the chip's peaks, see `Costs.seconds`.
        utilisation: model FLOPs over those of the chip's peak in the predicted time.
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
    """Makes the report.

    Args:
        measured: measurements of the compiler.
        text: text of the compiled program; '' if it does not fit.
        config: the config that it was compiled for.
    """
    accelerator = accelerators.find(measured.accelerator)
    chip = accelerator.chip
    model = model_config.from_config(config)
    params = jax.eval_shape(model.init, jax.random.key(0))
    total = costs(text, chip) if text else None
    if measured.program == "train":
        # `lowering` has the encoder in the step, if there is one.
        model_flops = flops.train_step_flops(model, measured.per_device, encoder_in_step=True)
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
