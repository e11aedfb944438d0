"""Scenes whose posterior over partitions is known, and so is E[x0 | x_t]: no network.

A scene is one of K partitions, with a probability of its own for each; besides, every pixel on an
edge belongs to the region on its other side with probability `FLIP`, independently. So there are
both kinds of doubt that people's maps show: which regions there are, and where exactly they end.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bitdiff_jax import metrics
from bitdiff_jax.diffusion.schedules import Schedule
from bitdiff_jax.encoding import bits
from bitdiff_jax.evaluation import distribution

SIDE, NUM_BITS, FLIP = 8, 3, 0.3
NUM_LAYOUTS, NUM_REGIONS = 4, 4


class Partitions(NamedTuple):
    """K partitions: codes, the codes across the nearest edge, and where there is an edge."""

    codes: np.ndarray  # int32 [K, H, W]
    across: np.ndarray  # int32 [K, H, W]; equal to `codes` off the edges

    @property
    def edge(self) -> np.ndarray:
        return self.codes != self.across


@functools.cache
def partitions() -> Partitions:
    """Four layouts of four cells, each with two pairs of cells merged or not: K = 16."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    codes = []
    for _ in range(NUM_LAYOUTS):
        centres = rng.uniform(0, SIDE, (NUM_REGIONS, 2))
        far = np.hypot(rows[..., None] - centres[:, 0], columns[..., None] - centres[:, 1])
        cells, names = far.argmin(-1), rng.permutation(2**NUM_BITS)[:NUM_REGIONS]
        for merges in np.ndindex(2, 2):
            kept = np.arange(NUM_REGIONS)
            for pair, merged in enumerate(merges):
                kept[2 * pair + 1] -= merged
            codes.append(names[kept[cells]])
    stacked = np.stack(codes).astype(np.int32)
    across = stacked.copy()
    for axis, step in ((1, 1), (2, 1), (1, -1), (2, -1)):
        other = np.roll(stacked, step, axis)
        border = (rows if axis == 1 else columns) == (0 if step == 1 else SIDE - 1)
        across = np.where((other != stacked) & ~border, other, across)
    return Partitions(stacked, across)


def scenes(count: int, seed: int) -> np.ndarray:
    """Log probability of each partition in each scene, [count, K]; few are likely."""
    rng = np.random.default_rng(seed)
    prior = rng.dirichlet(np.full(len(partitions().codes), 0.15), count)
    return np.log(np.maximum(prior, 1e-30)).astype(np.float32)


def draws(log_prior: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Exact draws of each scene, codes int32 [B, count, H, W]."""
    rng = np.random.default_rng(seed)
    known = partitions()
    noise = rng.gumbel(size=(len(log_prior), count, log_prior.shape[1]))
    chosen = (log_prior[:, None] + noise).argmax(-1)
    flipped = rng.uniform(size=(*chosen.shape, SIDE, SIDE)) < FLIP
    return np.where(flipped, known.across[chosen], known.codes[chosen])


@functools.cache
def denoiser(schedule: Schedule) -> Callable[..., jax.Array]:
    """E[x0 | x_t] for cond float32 [B, K], the log probability of each partition."""
    known = partitions()
    size = len(known.codes), -1, NUM_BITS
    inside, across = (
        jnp.asarray(bits.encode(x, NUM_BITS)).reshape(size).swapaxes(0, 1) for x in known
    )  # [pixels, K, bits]
    edge = known.edge.reshape(len(known.codes), -1).T
    flip = jnp.asarray(np.where(edge, FLIP, 1e-30), jnp.float32)[:, None]

    def denoise(x_t: jax.Array, t: jax.Array, cond: jax.Array) -> jax.Array:
        pixels = x_t.reshape(len(x_t), -1, NUM_BITS).swapaxes(0, 1)
        factor = (schedule.alpha(t) / schedule.sigma(t) ** 2)[:, None]
        # Logarithms up to what all share: |x0|^2 is the same for all codes.
        own = factor * jnp.einsum("pbc,pkc->pbk", pixels, inside, precision="highest")
        odds = factor * jnp.einsum("pbc,pkc->pbk", pixels, across - inside, precision="highest")
        odds += jax.scipy.special.logit(flip)
        likelihood = own + jax.nn.softplus(odds) + jnp.log1p(-flip)
        share = jax.nn.softmax(cond + likelihood.sum(0))
        flipped = share * jax.nn.sigmoid(odds)
        x0 = jnp.einsum("bk,pkc->pbc", share, inside, precision="highest")
        x0 += jnp.einsum("pbk,pkc->pbc", flipped, across - inside, precision="highest")
        return x0.swapaxes(0, 1).reshape(x_t.shape)

    return denoise


def scores_of(samples: np.ndarray, truths: np.ndarray, log_prior: np.ndarray) -> dict[str, Any]:
    """What draws are worth, by scene.

    Args:
        samples: codes [B, n, H, W].
        truths: exact draws [B, m, H, W].
        log_prior: log probability of each partition, [B, K].

    Returns:
        Arrays [B]: 'ari' of a sample to a truth; 'ged2', the unbiased squared energy distance with
        1 - Rand; 'mode', how much more often than it should the likeliest partition is drawn;
        'edge', how much less often than it should an edge's pixel lies on the other side.
    """
    known = partitions()

    def tables(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        one, two = (
            np.eye(2**NUM_BITS, dtype=np.float32)[x.reshape(*x.shape[:2], -1)]
            for x in (first, second)
        )
        return np.rint(one[:, :, None].swapaxes(-1, -2) @ two[:, None]).astype(np.int64)

    pairs = (samples, truths), (samples, samples), (truths, truths)
    counts = [tables(*pair) for pair in pairs]
    ari = metrics.adjusted_rand_index_from_table(counts[0]).mean((1, 2))
    apart = [1 - metrics.rand_index_from_table(each) for each in counts]
    ged2 = [distribution.ged2(distribution.Distances(*each)) for each in zip(*apart, strict=True)]
    flat = samples.reshape(*samples.shape[:2], 1, -1)
    fits = (flat == known.codes.reshape(len(known.codes), -1)) | (
        flat == known.across.reshape(len(known.codes), -1)
    )
    nearest = fits.sum(-1).argmax(-1)  # [B, n]
    mode = (nearest == log_prior.argmax(-1)[:, None]).mean(1) - np.exp(log_prior.max(-1))
    edge = known.edge[nearest]
    flipped = (samples == known.across[nearest]) & edge
    return {
        "ari": ari,
        "ged2": np.array(ged2),
        "mode": mode,
        "edge": FLIP - flipped.sum((1, 2, 3)) / np.maximum(edge.sum((1, 2, 3)), 1),
    }
