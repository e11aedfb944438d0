"""What models have in common that draw without diffusion and are trained by the package's loop."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.image_condition import Condition
from bitdiff_jax.model import Model, Params, Sample
from bitdiff_jax.target import valid_mask
from bitdiff_jax.training_loss import RowLosses


@dataclasses.dataclass(frozen=True)
class OneCallModel(Model):
    """A `Model` whose map is computed from the picture, once.

    A subclass has `init`, `row_losses` and `probabilities`.
    """

    def probabilities(self, params: Params, image: jax.Array, keys: jax.Array) -> jax.Array:
        """How probable each id of the map is at each pixel.

        Args:
            params: parameters.
            image: what `encode_image` returns, [B, S, S, 3].
            keys: PRNG keys [B], for a model that draws.

        Returns:
            [B, S, S, n], not negative; what they sum to does not matter.
        """
        raise NotImplementedError

    def apply(
        self,
        params: Params,
        x_t: jax.Array,
        t: jax.Array,
        cond: Condition,
        previous: jax.Array | None = None,
    ) -> jax.Array:
        """The probabilities for the picture alone, by which the network's FLOPs are counted."""
        del t, previous
        return self.probabilities(params, cond, jax.random.split(jax.random.key(0), len(x_t)))

    def sample(
        self,
        params: Params,
        image: jax.Array,
        size: jax.Array,
        keys: jax.Array,
        sampler: Sampler = Sampler(),  # noqa: B008
        features: jax.Array | None = None,
        known_codes: jax.Array | None = None,
        prompt: jax.Array | None = None,
        prompt_weight: jax.Array | None = None,
    ) -> Sample:
        """The most probable id of each pixel, as `Model.sample` gives codes; x0 is empty."""
        del sampler, features, known_codes, prompt, prompt_weight
        valid = valid_mask(size, image.shape[1:3])
        found = self.probabilities(params, self.encode_image(params, image, valid), keys)
        largest = jnp.max(found, axis=-1)
        certainty = largest / jnp.maximum(jnp.sum(found, axis=-1), 1e-20)
        codes = jnp.where(valid, jnp.argmax(found, axis=-1).astype(jnp.int32), -1)
        return Sample(codes, certainty, jnp.zeros((*valid.shape, self.encoding.num_channels)))


def row_losses(loss: jax.Array, size: jax.Array) -> RowLosses:
    """Losses float32 [B] of rows of a size int32 [B, 2], without anything to log beside them."""
    nothing = jnp.zeros_like(loss)
    pixels = jnp.prod(size.astype(jnp.float32), axis=-1)
    return RowLosses(loss, loss, nothing, nothing, pixels)


def of_model(model: Model, kind: type[Any], **fields: Any) -> Any:
    """A model of another class, with the fields of a model and some of its own."""
    own = {each.name: getattr(model, each.name) for each in dataclasses.fields(model)}
    return kind(**{**own, **fields})
