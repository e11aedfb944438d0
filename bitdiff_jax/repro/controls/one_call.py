"""One call, no diffusion: from the picture to codes of the same palette, by cross entropy.

The network is `networks.image_alone`, the encoding one-hot, whose standardised channels are read as
probabilities; sampling is a single step without guidance, so that what is drawn is the most
probable code of each pixel by itself.
"""

import math

import jax
import jax.numpy as jnp

# Below this a probability is held: a float32 softmax saturates, and the loss must stay finite.
_LEAST = 1e-7


def cross_entropy(pred: jax.Array, target: jax.Array, mask: jax.Array) -> jax.Array:
    """-log of the true code's probability, a mean over the masked pixels.

    Args:
        pred: [B, H, W, n], standardised probabilities of n codes, `encoding.onehot.standardise`.
        target: [B, H, W, n], the same of the true codes; its largest channel is the code.
        mask: [B, H, W], true or 1 where a pixel counts; or the weight of each pixel.

    Returns:
        [B]; 0 for an example without a counted pixel.
    """
    n = pred.shape[-1]
    probabilities = (1 + math.sqrt(n - 1) * pred) / n
    return mean_log(probabilities, jnp.argmax(target, axis=-1), mask)


def mean_log(probabilities: jax.Array, codes: jax.Array, mask: jax.Array) -> jax.Array:
    """-log of the probability of given codes, a mean over the masked pixels.

    Args:
        probabilities: [B, H, W, n].
        codes: int [B, H, W].
        mask: [B, H, W], bool or weights.

    Returns:
        [B]; 0 for an example without a counted pixel.
    """
    found = jnp.take_along_axis(probabilities, codes[..., None], axis=-1)[..., 0]
    mask = mask.astype(found.dtype)
    total = jnp.sum(-jnp.log(jnp.maximum(found, _LEAST)) * mask, axis=(1, 2))
    return total / jnp.maximum(jnp.sum(mask, axis=(1, 2)), _LEAST)
