"""Data whose denoiser is known in closed form, and the exact result of a sampler on them.

For three kinds of data the best possible network, E[x0 | x_t], is a formula, so that every error of
a sample comes from the sampler:

- `gaussian`: every value from N(mean, std^2). The denoiser is linear.
- `groups`: m pixels share one bit, +1 with probability p. The denoiser is a tanh.
- `listed`: one of K given images. The denoiser is a softmax over the list.

`moments` and `frequency` compute in float64, without drawing anything and without the package,
what a sampler makes of the first two: the schedule is the closed form of the cosine, the steps come
from Bayes' rule. `last_step_alone` is what the last step makes of a perfect draw of its input.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from bitdiff_jax.diffusion.schedules import Schedule
from bitdiff_jax.diffusion.step_methods import Ddim, Ddpm, StepMethod

# Arguments of `steps`. DDIM with eta 1 is DDPM with variance 'small', once more.
METHODS: dict[str, dict[str, Any]] = {
    "DDPM large": {"method": "ddpm", "variance": "large"},
    "DDPM small": {"method": "ddpm", "variance": "small"},
    "DDIM eta 1": {"method": "ddim", "eta": 1.0},
    "DDIM eta 0": {"method": "ddim", "eta": 0.0},
}


# The same as the package's step methods.
STEP_METHODS: dict[str, StepMethod] = {
    "DDPM large": Ddpm("large"),
    "DDPM small": Ddpm("small"),
    "DDIM eta 1": Ddim(1.0),
    "DDIM eta 0": Ddim(0.0),
}


def _alpha_sigma(schedule: Schedule, t: jax.Array, ndim: int) -> tuple[jax.Array, jax.Array]:
    shape = (-1,) + (1,) * (ndim - 1)
    return schedule.alpha(t).reshape(shape), schedule.sigma(t).reshape(shape)


@functools.cache
def gaussian(schedule: Schedule) -> Callable[..., jax.Array]:
    """Denoiser of values from N(mean, std^2); cond float32 [B, 2] holds mean and std."""

    def denoise(x_t: jax.Array, t: jax.Array, cond: jax.Array) -> jax.Array:
        alpha, sigma = _alpha_sigma(schedule, t, x_t.ndim)
        mean, std = (cond[:, k].reshape(alpha.shape) for k in (0, 1))
        gain = alpha * std**2 / (alpha**2 * std**2 + sigma**2)
        return mean + gain * (x_t - alpha * mean)

    return denoise


@functools.cache
def groups(schedule: Schedule, layout: tuple[tuple[int, int], ...]) -> Callable[..., jax.Array]:
    """Denoiser of rows of groups: first layout[0][1] groups of m = layout[0][0] pixels, then ...

    x_t is [B, H, W, 1] with W = sum(m * count): H independent draws. cond float32 [B] is P(+1).
    """

    def denoise(x_t: jax.Array, t: jax.Array, cond: jax.Array) -> jax.Array:
        alpha, sigma = _alpha_sigma(schedule, t, x_t.ndim)
        half_logit = 0.5 * jax.scipy.special.logit(cond).reshape(alpha.shape)
        parts = []
        for part, (m, count) in zip(split(x_t, layout), layout, strict=True):
            grouped = part.reshape(*part.shape[:2], count, m)
            evidence = alpha / sigma**2 * jnp.sum(grouped, axis=-1, keepdims=True)
            bits = jnp.tanh(evidence + half_logit)
            parts.append(jnp.broadcast_to(bits, grouped.shape).reshape(part.shape))
        return jnp.concatenate(parts, axis=2)

    return denoise


def split(x: Any, layout: tuple[tuple[int, int], ...]) -> list[Any]:
    """[B, H, W, 1] -> for each size of group its own columns."""
    return jnp.split(x, np.cumsum([m * count for m, count in layout])[:-1], axis=2)


def listed(schedule: Schedule, images: np.ndarray) -> Callable[..., jax.Array]:
    """Denoiser of data that are one of `images` [K, H, W, C]; cond float32 [B, K]: log prior."""
    flat = jnp.asarray(images, jnp.float32).reshape(len(images), -1)
    squares = jnp.sum(flat**2, axis=1)

    def denoise(x_t: jax.Array, t: jax.Array, cond: jax.Array) -> jax.Array:
        alpha, sigma = (each[:, 0, 0] for each in _alpha_sigma(schedule, t, x_t.ndim))
        products = jnp.matmul(x_t.reshape(len(x_t), -1), flat.T, precision="highest")
        likelihood = (alpha * products - alpha**2 * squares / 2) / sigma**2
        return (jax.nn.softmax(cond + likelihood) @ flat).reshape(x_t.shape)

    return denoise


def partitions() -> tuple[np.ndarray, np.ndarray]:
    """Five ways to divide 8 x 8 pixels into regions: codes int32 [5, 8, 8] and their prior [5].

    The second differs from the first in one bit of 2 x 2 pixels; the others in 60 values or more.
    """
    rows, columns = np.mgrid[:8, :8] // 4
    halves = 3 * columns
    patched = halves.copy()
    patched[1:3, 1:3] ^= 4
    codes = np.stack([halves, patched, 5 * rows, 3 * columns ^ 5 * rows ^ 4, np.full((8, 8), 6)])
    return codes.astype(np.int32), np.array([0.35, 0.15, 0.25, 0.2, 0.05])


def shares(codes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """How often `codes` [B, H, W] is each of `known` [K, H, W], and none of them: [K + 1]."""
    hits = (codes[:, None] == known).all((2, 3)).mean(0)
    return np.append(hits, 1 - hits.sum())


class Step(NamedTuple):
    """x_s = keep x_t + pull x0 + noise z, where x0 is the denoiser's answer."""

    alpha: float  # of x_t
    sigma: float
    keep: float
    pull: float
    noise: float


def steps(
    num_steps: int,
    input_scale: float,
    method: str = "ddpm",
    variance: str = "large",
    eta: float = 0.0,
    final: str = "x0",
) -> list[Step]:
    """The steps from t = 1 down to 0, on the cosine schedule with logsnr within +-20."""
    result = []
    for i in range(num_steps, 0, -1):
        alpha, sigma = _cosine(i / num_steps, input_scale)
        alpha_s, sigma_s = _cosine((i - 1) / num_steps, input_scale)
        ratio = alpha / alpha_s  # q(x_t | x_s) = N(ratio x_s, between)
        between = sigma**2 - (ratio * sigma_s) ** 2
        if i == 1 and final == "x0":
            keep, pull, noise = 0.0, 1.0, 0.0
        elif method == "ddpm":  # Bayes' rule for q(x_s | x_t, x0)
            keep = ratio * sigma_s**2 / sigma**2
            pull = alpha_s * between / sigma**2
            noise = between**0.5 * (1 if variance == "large" else sigma_s / sigma)
        else:
            noise = eta * between**0.5 * sigma_s / sigma
            keep = (sigma_s**2 - noise**2) ** 0.5 / sigma
            pull = alpha_s - keep * alpha
        result.append(Step(alpha, sigma, keep, pull, noise))
    return result


def _cosine(t: float, input_scale: float) -> tuple[float, float]:
    signal = (float(np.float32(input_scale)) * np.sin(0.5 * np.pi * (1 - t))) ** 2
    rest = np.sin(0.5 * np.pi * t) ** 2
    end = 1 / (1 + np.exp(20.0))
    alpha2, sigma2 = ((1 - 2 * end) * part / (signal + rest) + end for part in (signal, rest))
    return alpha2**0.5, sigma2**0.5


def moments(
    path: list[Step],
    cond: tuple[float, float],
    null: tuple[float, float] = (0.0, 1.0),
    weight: float = 0.0,
) -> tuple[float, float]:
    """Exact mean and variance of samples of `gaussian` data, for which all is linear.

    Args:
        path: steps of the sampler, see `steps`.
        cond: (mean, std) of the data.
        null: (mean, std) that the empty condition stands for.
        weight: guidance weight; x0 is not clipped.
    """
    mean, var = 0.0, 1.0
    for step in path:
        slope = offset = 0.0
        for share, (mu, std) in ((1 + weight, cond), (-weight, null)):
            gain = step.alpha * std**2 / ((step.alpha * std) ** 2 + step.sigma**2)
            slope += share * gain
            offset += share * (1 - gain * step.alpha) * mu
        mean = (step.keep + step.pull * slope) * mean + step.pull * offset
        var = (step.keep + step.pull * slope) ** 2 * var + step.noise**2
    return mean, var


def frequency(
    path: list[Step],
    size: int,
    probability: float,
    null: float = 0.5,
    weight: float = 0.0,
) -> float:
    """How often a pixel of a group ends above 0, by quadrature; to about 2e-4.

    The group acts only through y = sum(x_t) / sqrt(m), one number with a standard normal start:
    P(end above 0 | y) is carried from the last step back to the first. Without noise, a fine grid
    of starts is carried forward instead.

    Args:
        path: steps of the sampler, see `steps`.
        size: number m of pixels in a group.
        probability: P(+1) of the data.
        null: P(+1) that the empty condition stands for.
        weight: guidance weight; x0 is clipped to [-1, 1].
    """
    root = size**0.5
    half_logits = [0.5 * np.log(p / (1 - p)) for p in (probability, null)]

    def drift(y: Any, step: Step) -> Any:
        evidence = step.alpha / step.sigma**2 * root * y
        cond, empty = (np.tanh(evidence + half_logit) for half_logit in half_logits)
        x0 = np.clip((1 + weight) * cond - weight * empty, -1, 1)
        return step.keep * y + step.pull * root * x0

    if not any(step.noise for step in path):
        y = norm.ppf((np.arange(20_000) + 0.5) / 20_000)
        for step in path:
            y = drift(y, step)
        return float(np.mean(y > 0))

    # The fewer the steps, the less smooth is what they meet.
    last, z = path[-1], np.linspace(-6, 6, max(41, min(401, 1600 // len(path))))
    share = norm.pdf(z) / norm.pdf(z).sum()
    # Without noise to speak of, all pixels of a group end above 0 if y is above a threshold. Else
    # the last noise is each pixel's own.
    sharp = last.noise < 1e-3
    threshold = brentq(drift, -1e6, 1e6, args=(last,)) if sharp else 0.0

    def above(y: Any) -> Any:
        return y > threshold if sharp else norm.cdf(drift(y, last) / root / last.noise)

    for i, step in reversed(list(enumerate(path[:-1]))):
        y = np.linspace(-1, 1, 1201) * (root * step.alpha + 8)
        mean = drift(y, step)
        if sharp and i == len(path) - 2:
            values = norm.cdf((mean - threshold) / step.noise)
        else:
            values = above(mean[:, None] + step.noise * z) @ share
        above = functools.partial(np.interp, xp=y, fp=values)
    start = np.linspace(-8, 8, 16_001)
    density = norm.pdf(start)
    return float(above(start) @ density / density.sum())


def last_step_alone(num_steps: int, input_scale: float, size: int, probability: float) -> float:
    """How often x0 at t = 1 / N is above 0 if x_t there were an exact draw: no quadrature needed.

    x0 is then the mean of a posterior that may be undecided, and its sign the likelier bit.
    """
    alpha, sigma = _cosine(1 / num_steps, input_scale)
    signal = size**0.5 * alpha / sigma
    threshold = -0.5 * np.log(probability / (1 - probability)) / signal
    return float(
        probability * norm.sf(threshold - signal) + (1 - probability) * norm.sf(threshold + signal)
    )
