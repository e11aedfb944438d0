"""Scenes with a known posterior under the settings of `sampling_settings`: no network.

The denoiser is that of `ragged_partitions`, or the same with an error of a known kind.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.quality import ragged_partitions
from benchmarks.quality.sampling_settings import (
    ScaledDdim,
    Setting,
    uniform_in_information,
    uniform_in_t,
)
from bitdiff_jax.diffusion import sampling, schedules
from bitdiff_jax.diffusion.multistep_methods import Dpmpp2M
from bitdiff_jax.diffusion.parameterization import diffuse, expand
from bitdiff_jax.diffusion.schedules import Schedule
from bitdiff_jax.diffusion.step_methods import Ddim, Ddpm
from bitdiff_jax.encoding import bits

SCHEDULE = schedules.cosine(0.1)
NUM_SEEDS = 3  # each draws one sample of each scene
SHAPE = (ragged_partitions.SIDE, ragged_partitions.SIDE, ragged_partitions.NUM_BITS)

Denoiser = Callable[..., jax.Array]


def exact(schedule: Schedule) -> Denoiser:
    """E[x0 | x_t] itself."""
    return ragged_partitions.denoiser(schedule)


def rough(schedule: Schedule) -> Denoiser:
    """E[x0 | x_t], a fifth of it replaced by a fixed function of x_t that means nothing."""
    kernel = jax.random.normal(jax.random.key(7), (3, 3, SHAPE[-1], SHAPE[-1])) / 3

    def denoise(x_t: jax.Array, t: jax.Array, cond: jax.Array) -> jax.Array:
        mixed = jax.lax.conv_general_dilated(
            x_t, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return 0.8 * exact(schedule)(x_t, t, cond) + 0.2 * jnp.tanh(mixed)

    return denoise


def unsure(schedule: Schedule) -> Denoiser:
    """E[x0 | x_t] of a denoiser that takes x_t for noisier than it is, by 1 in logsnr."""
    told = Setting("", shift=-1.0)

    def denoise(x_t: jax.Array, t: jax.Array, cond: jax.Array) -> jax.Array:
        return told.applied(exact(schedule), schedule, 1)[0](x_t, t, cond)

    return denoise


DENOISERS: dict[str, Callable[[Schedule], Denoiser]] = {
    "exact": exact,
    "rough": rough,
    "unsure": unsure,
}


def information_grid(log_prior: np.ndarray) -> Any:
    """The grid that is uniform in information, from x_t of exact draws."""
    truths = ragged_partitions.draws(log_prior, 1, seed=11)[:, 0]
    x0 = jnp.asarray(bits.encode(truths, SHAPE[-1]))
    times = np.sin(0.5 * np.pi * np.linspace(0, 1, 61)) ** 4  # dense where logsnr is steep
    denoise, error = jax.jit(exact(SCHEDULE)), []
    for i, time in enumerate(times):
        t = jnp.full(len(x0), time, jnp.float32)
        eps = jax.random.normal(jax.random.key(i), x0.shape)
        alpha, sigma = (expand(f(t), x0) for f in (SCHEDULE.alpha, SCHEDULE.sigma))
        x_t = diffuse(x0, eps, alpha, sigma)
        error.append(float(jnp.mean(1 - denoise(x_t, t, jnp.asarray(log_prior)) ** 2)))
    known = np.where(np.array(error) < 1e-4, 0, error)  # float32 has no smaller ones
    return uniform_in_information(SCHEDULE, times, known)


def draw(
    denoiser: Callable[[Schedule], Denoiser], setting: Setting, num_steps: int, log_prior: Any
) -> np.ndarray:
    """Codes [B, NUM_SEEDS, H, W]; settings share their noise."""
    cond = jnp.asarray(log_prior)
    null = jnp.zeros_like(cond)  # every partition as likely
    denoise, schedule, sampler = setting.applied(denoiser(SCHEDULE), SCHEDULE, num_steps)
    codes = []
    for seed in range(NUM_SEEDS):
        key_init, key_steps = jax.random.split(jax.random.key(seed))
        x0 = sampling.sample(
            denoise,
            jax.random.normal(key_init, (len(cond), *SHAPE)),
            cond if setting.interval is None else (cond, null),
            sampler,
            schedule=schedule,
            null_cond=null,
            keys=jax.random.split(key_steps, len(cond)),
        )
        codes.append(np.asarray(bits.decode(x0)))
    return np.stack(codes, axis=1)


def settings(log_prior: np.ndarray) -> dict[str, list[Setting]]:
    """One switch each, by the denoiser that they are drawn with."""
    information = information_grid(log_prior)
    ddim, second = {"method": Ddim()}, {"method": Dpmpp2M()}
    faithful = {**second, "time_grid": "logsnr"}
    guided = {**ddim, "guidance_weight": 1.0}
    methods = [Setting("DDPM"), Setting("DDIM", ddim), Setting("2M", second)]
    remedies = [
        Setting("DDIM, logsnr told + .5", ddim, shift=0.5),
        Setting("DDIM, logsnr told - .5", ddim, shift=-0.5),
        Setting("DDIM, eps / 1.01", {"method": ScaledDdim(1.01)}),
    ]
    return {
        "exact": [
            *methods,
            Setting("DDPM, variance small", {"method": Ddpm("small")}),
            Setting("DDPM, variance small, last step", {"method": Ddpm("small"), "final": "step"}),
            Setting("DDIM, eta .5", {"method": Ddim(0.5)}),
            Setting("DDIM, temperature .1", {**ddim, "temperature": 0.1}),
            Setting("DDIM, t from .98 to .02", ddim, uniform_in_t(0.02, 0.98)),
            Setting("DDIM, uniform in logsnr", {**ddim, "time_grid": "logsnr"}),
            Setting("2M, uniform in logsnr", faithful),
            Setting("DDIM, uniform in information", ddim, information),
            Setting("2M, uniform in information", second, information),
            Setting("DDIM, guidance 1", guided),
            Setting("DDIM, guidance 1 in -6 .. 0", guided, interval=(-6.0, 0.0)),
        ],
        "rough": [*methods, Setting("2M, uniform in logsnr", faithful), *remedies],
        "unsure": [*methods, Setting("2M, uniform in logsnr", faithful), *remedies],
    }


def rows(
    num_steps: Sequence[int],
    num_scenes: int,
    skipped: Collection[tuple[str, str, int]],
    chosen: Callable[[str, str], bool],
) -> Iterator[dict[str, Any]]:
    """A row for each denoiser, setting and number of steps, with an array by scene of each score.

    The first row, of 0 steps, is that of exact draws of the posterior. Those in `skipped` are left
    out, and settings that are not `chosen`, by the names of denoiser and setting.
    """
    log_prior = ragged_partitions.scenes(num_scenes, seed=1)
    truths = ragged_partitions.draws(log_prior, NUM_SEEDS, seed=2)

    def row(name: str, setting: str, n: int, drawn: np.ndarray) -> dict[str, Any]:
        scores = ragged_partitions.scores_of(drawn, truths, log_prior)
        return {"denoiser": name, "setting": setting, "num_steps": n, **scores}

    if ("exact", "exact draws", 0) not in skipped:
        drawn = ragged_partitions.draws(log_prior, NUM_SEEDS, seed=3)
        yield row("exact", "exact draws", 0, drawn)
    for name, found in settings(log_prior).items():
        for setting in (each for each in found if chosen(name, each.name)):
            for n in num_steps:
                if (name, setting.name, n) not in skipped:
                    drawn = draw(DENOISERS[name], setting, n, log_prior)
                    yield row(name, setting.name, n, drawn)
