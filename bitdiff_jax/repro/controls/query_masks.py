"""Masks of queries on the trunk of the diffusion model: Mask2Former's loss (arXiv 2112.01527).

Class-agnostic: each of Q learned queries attends to the trunk's features, gives a mask by its
product with them and the logit that it is a region at all. Queries and true regions are matched one
to one by `optax.assignment`; matched masks are trained by cross entropy and Dice. What is drawn at
a pixel is the query of the largest product of both probabilities.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import ml_collections
import optax

from bitdiff_jax import model_config
from bitdiff_jax.model import Params
from bitdiff_jax.repro.controls import networks
from bitdiff_jax.repro.controls.own_model import OneCallModel, of_model, row_losses
from bitdiff_jax.training_loss import Draws, RowLosses

# Weights of the parts of loss and cost, and of queries without a region, as in Mask2Former.
_MASK, _DICE, _REGION, _NO_REGION = 5.0, 5.0, 2.0, 0.1
# Features are averaged over squares of so many pixels before queries attend to them.
_POOL = 4


def make(config: ml_collections.ConfigDict) -> "QueryMasks":
    """The model for a config, whose U-Net is the trunk."""
    made = model_config.from_config(config)
    features = 2 * config.model.net.base_channels
    trunk = made.net.clone(out_channels=features, final_activation="none")  # type: ignore[attr-defined]
    masks: QueryMasks = of_model(
        made, QueryMasks, net=networks.ImageAlone(trunk), num_features=features
    )
    return masks


@dataclasses.dataclass(frozen=True)
class QueryMasks(OneCallModel):
    """The model.

    Attributes:
        num_features: D, channels of the trunk's output and of queries.
        num_queries: Q; regions beyond the Q largest ids are left out of the loss.
        depth: how many times queries attend to the picture and to each other.
    """

    num_features: int = 64
    num_queries: int = 32
    depth: int = 2

    def init(self, key: jax.Array) -> Params:
        """{'trunk': of the U-Net, 'queries': of what is made of its features}."""
        key_trunk, key_queries = jax.random.split(key)
        x = jnp.zeros((1, self.image_size, self.image_size, self.cond_channels))
        trunk = self.net.init(key_trunk, x, jnp.zeros(1))["params"]
        d, keys = self.num_features, iter(jax.random.split(key_queries, 3 + 10 * self.depth))

        def matrix(rows: int, columns: int) -> jax.Array:
            return jax.random.normal(next(keys), (rows, columns)) / math.sqrt(rows)

        cells = (self.image_size // _POOL) ** 2
        layers = {
            f"layer_{i}": {
                "image": {name: matrix(d, d) for name in ("q", "k", "v", "out")},
                "queries": {name: matrix(d, d) for name in ("q", "k", "v", "out")},
                "mlp": {"in": matrix(d, 4 * d), "out": matrix(4 * d, d)},
            }
            for i in range(self.depth)
        }
        queries = {
            "queries": matrix(self.num_queries, d) * math.sqrt(self.num_queries),
            "places": matrix(cells, d) * math.sqrt(cells) * 0.1,
            "region": {"kernel": matrix(d, 1), "bias": jnp.zeros(1)},
            **layers,
        }
        return {"trunk": trunk, "queries": queries}

    def row_losses(self, params: Params, batch: dict[str, jax.Array], draws: Draws) -> RowLosses:
        """The loss of each row; nothing is drawn for it."""
        del draws
        labels = batch["labels"]
        known = labels >= 0
        image = self.encode_image(params, batch["image"], known)
        masks, regions = self.logits(params, image)
        loss = jax.vmap(_row_loss)(masks, regions, labels, known)
        return row_losses(loss, batch["size"])

    def logits(self, params: Params, image: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Logits of masks [B, S, S, Q] and of being a region [B, Q]."""
        features = self.net.apply({"params": params["trunk"]}, image, jnp.zeros(len(image)))
        own = params["queries"]
        batch, side, _, d = features.shape
        cells = features.reshape(batch, side // _POOL, _POOL, side // _POOL, _POOL, d)
        tokens = cells.mean((2, 4)).reshape(batch, -1, d) + own["places"]
        q = jnp.broadcast_to(own["queries"], (batch, *own["queries"].shape))
        for i in range(self.depth):
            layer = own[f"layer_{i}"]
            q += _attend(layer["image"], _normed(q), tokens)
            q += _attend(layer["queries"], _normed(q), _normed(q))
            q += jax.nn.silu(_normed(q) @ layer["mlp"]["in"]) @ layer["mlp"]["out"]
        q = _normed(q)
        masks = jnp.einsum("bhwd,bqd->bhwq", features, q) / math.sqrt(d)
        return masks, (q @ own["region"]["kernel"])[..., 0] + own["region"]["bias"]

    def probabilities(self, params: Params, image: jax.Array, keys: jax.Array) -> jax.Array:
        """Probability of a query's mask times that of its being a region, [B, S, S, Q]."""
        del keys
        masks, regions = self.logits(params, image)
        return jax.nn.sigmoid(masks) * jax.nn.sigmoid(regions)[:, None, None]


def _row_loss(
    masks: jax.Array, regions: jax.Array, labels: jax.Array, known: jax.Array
) -> jax.Array:
    """The loss of one picture: masks [S, S, Q], regions [Q], labels and known [S, S]."""
    num_queries = len(regions)
    pixels = jnp.maximum(known.sum(), 1)
    weight = known.reshape(-1, 1).astype(jnp.float32)
    logits = masks.reshape(-1, num_queries)
    true = (labels.reshape(-1, 1) == jnp.arange(num_queries)) * weight  # [P, R], R = Q
    exists = true.sum(0) > 0
    # [Q, R]: means over pixels.
    cross = (
        jax.nn.softplus(-logits).T @ true + jax.nn.softplus(logits).T @ (weight - true)
    ) / pixels
    p = jax.nn.sigmoid(logits) * weight
    dice = 1 - (2 * p.T @ true + 1) / (p.sum(0)[:, None] + true.sum(0)[None] + 1)
    cost = _MASK * cross + _DICE * dice - _REGION * jax.nn.sigmoid(regions)[:, None]
    cost = jnp.where(exists[None], cost, 0.0)  # what is not there costs whoever gets it nothing
    query, region = optax.assignment.hungarian_algorithm(jax.lax.stop_gradient(cost))
    matched = exists[region].astype(jnp.float32)
    count = jnp.maximum(matched.sum(), 1)
    of_masks = _MASK * cross[query, region] + _DICE * dice[query, region]
    is_region = jnp.zeros(num_queries).at[query].set(matched)
    of_regions = jax.nn.softplus(jnp.where(is_region > 0, -regions, regions))
    of_regions *= jnp.where(is_region > 0, 1.0, _NO_REGION)
    return (of_masks * matched).sum() / count + _REGION * of_regions.sum() / count


def _attend(weights: dict[str, jax.Array], queries: jax.Array, tokens: jax.Array) -> jax.Array:
    """One head of attention: [B, Q, D], [B, T, D] -> [B, Q, D]."""
    q, k, v = queries @ weights["q"], tokens @ weights["k"], tokens @ weights["v"]
    scores = jnp.einsum("bqd,btd->bqt", q, k) / math.sqrt(q.shape[-1])
    return jax.nn.softmax(scores) @ v @ weights["out"]


def _normed(x: jax.Array) -> jax.Array:
    """Each vector with mean 0 and variance 1."""
    centred = x - x.mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-5)
