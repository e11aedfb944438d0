"""The commands that repeat a claim at full size, and what they are predicted to cost."""

import functools
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from bitdiff_jax import config as config_lib
from bitdiff_jax import flops, model_config
from bitdiff_jax.compile import accelerators
from bitdiff_jax.repro.arms import Training
from bitdiff_jax.repro.claims import Claim
from bitdiff_jax.repro.trainings import TRAININGS

# Eight chips of each kind.
MACHINES = ("v5e-8", "h100-8")
# The share of a chip's peak that a training step is assumed to use. It is low because the released
# batch of 8 leaves one image to a chip; docs/performance.md has what compilers predict.
UTILISATION = 0.1
_DATA = (
    "--config.data.train=entityseg:ES,split=train,zero=region",
    "--config.eval.data=entityseg:ES,split=val,zero=region",
    "--config.model.net.dtype=bfloat16",
)
ASSUMPTION = (
    f"hours = steps x FLOPs of a step / (8 chips x peak in bfloat16 x {UTILISATION:.0%}); the "
    f"{UTILISATION:.0%} are an assumption, `bitdiff compile` asks the compiler"
)


def text(claims: Sequence[Claim]) -> str:
    """All commands of these claims, each with its predicted cost."""
    lines = [ASSUMPTION]
    for claim in claims:
        lines += ["", f"{claim.name}: {claim.title}"]
        if not commands(claim):
            lines.append(f"  no training: {claim.tested or claim.not_run or claim.not_testable}")
        for command, (config, settings) in zip(commands(claim), _trained(claim), strict=True):
            lines += [f"  {command}", f"    {cost(config, settings)}"]
    return "\n".join(lines)


def commands(claim: Claim) -> list[str]:
    """`bitdiff train ...` of each training that the claim needs at full size."""
    return [
        shlex.join(
            [
                "bitdiff", "train", "--config", config, "--workdir", f"runs/{claim.name}_{number}",
                *_DATA,
                *(f"--config.{key}={value}" for key, value in settings.items()),
            ]
        )
        for number, (config, settings) in enumerate(_trained(claim))
    ]  # fmt: skip


def cost(config: str, settings: Mapping[str, Any]) -> str:
    """Predicted hours on each of `MACHINES`."""
    step_flops, num_steps = _flops(config, tuple(sorted(settings.items())))
    told = []
    for name in MACHINES:
        machine = accelerators.find(name)
        peak = machine.devices * machine.chip.peak_flops * UTILISATION
        hours = num_steps * step_flops / peak / 3600
        told.append(f"{hours:.1f} h on 8 x {machine.chip.kind}")
    return f"{num_steps * step_flops / 1e18:.2f} EFLOP: {', '.join(told)}"


@functools.cache
def _flops(config: str, settings: tuple[tuple[str, Any], ...]) -> tuple[int, int]:
    """FLOPs of a step, and the number of steps."""
    made = Training("", dict(settings)).config(config, 0)
    step = flops.train_step_flops(model_config.from_config(made), made.train.batch_size)
    return step, made.train.num_steps


def _trained(claim: Claim) -> Sequence[tuple[str, Mapping[str, Any]]]:
    """What the claim says itself, or else its arms' trainings as changes of `base`."""
    if claim.full:
        return claim.full
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    own = config_lib.load("base")
    for arm in claim.arms.values():
        training = TRAININGS[arm.training]
        settings = {k: v for k, v in training.settings.items() if not k.startswith("data.train")}
        if training.network:
            settings |= training.of_network(own)
        found.setdefault(training.name, ("base", settings))
    return list(found.values())
