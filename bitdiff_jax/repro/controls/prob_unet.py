"""A probabilistic U-Net (arXiv 1806.05034): `one_call` with a latent drawn for the whole picture.

A prior sees the picture, a posterior sees the picture and the codes; both are small U-Nets whose
output is averaged to the mean and the log of the standard deviation of a Gaussian. A latent is
drawn, from the posterior in training and from the prior afterwards, and is joined to the trunk's
features at every pixel before two layers make code probabilities of them. Loss: cross entropy, a
mean over pixels, and the divergence of the posterior from the prior.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import ml_collections

from bitdiff_jax import model_config
from bitdiff_jax.model import Params
from bitdiff_jax.nets.network import Network
from bitdiff_jax.repro.controls import networks
from bitdiff_jax.repro.controls.one_call import mean_log
from bitdiff_jax.repro.controls.own_model import OneCallModel, of_model, row_losses
from bitdiff_jax.training_loss import Draws, RowLosses


def make(config: ml_collections.ConfigDict) -> "ProbabilisticUNet":
    """The model for a config, whose U-Net is the trunk; those of the latent are half as wide."""
    made = model_config.from_config(config)
    width = config.model.net.base_channels
    unet = made.net.clone(out_channels=2 * width, final_activation="none")  # type: ignore[attr-defined]
    latent = ProbabilisticUNet.num_latents
    small = unet.clone(out_channels=2 * latent, base_channels=width // 2)
    model: ProbabilisticUNet = of_model(
        made,
        ProbabilisticUNet,
        net=networks.ImageAlone(unet),
        gaussian=small,
        num_features=2 * width,
    )
    return model


@dataclasses.dataclass(frozen=True)
class ProbabilisticUNet(OneCallModel):
    """The model.

    Attributes:
        gaussian: network of prior and posterior, with two outputs for each latent.
        num_features: channels of the trunk's output.
        num_latents: numbers in the latent.
        divergence_weight: of the divergence; the paper's 10 is for a cross entropy that is summed
            over pixels, and this one is for a mean over 32 x 32 of them.
    """

    gaussian: Network | None = None
    num_features: int = 64
    num_latents: int = 6
    divergence_weight: float = 0.01

    def init(self, key: jax.Array) -> Params:
        """{'trunk', 'prior', 'posterior', 'head'}."""
        assert self.gaussian is not None
        keys = jax.random.split(key, 5)
        side, time = self.image_size, jnp.zeros(1)
        image = jnp.zeros((1, side, side, self.cond_channels))
        x0 = jnp.zeros((1, side, side, self.encoding.num_channels))
        both = jnp.concatenate([x0, image], axis=-1)
        joined, d = self.num_features + self.num_latents, self.num_features

        def layer(key: jax.Array, rows: int, columns: int) -> dict[str, jax.Array]:
            kernel = jax.random.normal(key, (rows, columns)) / math.sqrt(rows)
            return {"kernel": kernel, "bias": jnp.zeros(columns)}

        return {
            "trunk": self.net.init(keys[0], image, time)["params"],
            "prior": self.gaussian.init(keys[1], image, time)["params"],
            "posterior": self.gaussian.init(keys[2], both, time)["params"],
            "head": {
                "first": layer(keys[3], joined, d),
                "second": layer(keys[4], d, self.encoding.num_codes),
            },
        }

    def row_losses(self, params: Params, batch: dict[str, jax.Array], draws: Draws) -> RowLosses:
        """The loss of each row; its latent is drawn with the noise of `draws`."""
        target = self.target(batch["labels"], batch["size"], draws.codes)
        image = self.encode_image(params, batch["image"], batch["labels"] >= 0)
        prior = self._gaussian(params["prior"], image)
        posterior = self._gaussian(
            params["posterior"], jnp.concatenate([target.x0, image], axis=-1)
        )
        noise = draws.eps.reshape(len(image), -1)[:, : self.num_latents]
        logits = self._logits(params, image, posterior[0] + jnp.exp(posterior[1]) * noise)
        loss = mean_log(jax.nn.softmax(logits), jnp.maximum(target.codes, 0), target.loss_mask)
        return row_losses(
            loss + self.divergence_weight * divergence(posterior, prior), batch["size"]
        )

    def probabilities(self, params: Params, image: jax.Array, keys: jax.Array) -> jax.Array:
        """Of each code, for a latent drawn from the prior by the keys, [B, S, S, num_codes]."""
        mean, log_std = self._gaussian(params["prior"], image)
        noise = jax.vmap(lambda key: jax.random.normal(key, (self.num_latents,)))(keys)
        return jax.nn.softmax(self._logits(params, image, mean + jnp.exp(log_std) * noise))

    def _gaussian(self, params: Params, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean and log of the standard deviation, [B, num_latents] each."""
        assert self.gaussian is not None
        output = jnp.asarray(self.gaussian.apply({"params": params}, x, jnp.zeros(len(x))))
        mean, log_std = jnp.split(output.mean((1, 2)), 2, axis=-1)
        return mean, log_std

    def _logits(self, params: Params, image: jax.Array, latent: jax.Array) -> jax.Array:
        features = self.net.apply({"params": params["trunk"]}, image, jnp.zeros(len(image)))
        shape = (*features.shape[:3], self.num_latents)
        joined = [features, jnp.broadcast_to(latent[:, None, None], shape)]
        h, head = jnp.concatenate(joined, axis=-1), params["head"]
        h = jax.nn.silu(h @ head["first"]["kernel"] + head["first"]["bias"])
        return jnp.asarray(h @ head["second"]["kernel"] + head["second"]["bias"])


def divergence(
    first: tuple[jax.Array, jax.Array], second: tuple[jax.Array, jax.Array]
) -> jax.Array:
    """Kullback-Leibler divergence of Gaussians without correlations, [B].

    Args:
        first: mean and log of the standard deviation, [B, n] each, of the one drawn from.
        second: those of the one that it is held against.
    """
    (m1, s1), (m2, s2) = first, second
    each = s2 - s1 + (jnp.exp(2 * s1) + jnp.square(m1 - m2)) / (2 * jnp.exp(2 * s2)) - 0.5
    return each.sum(-1)
