"""Final activations of a network, by name: they bring its output into the range of x0."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from bitdiff_jax.encoding import onehot

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    # These two are over the channels of each pixel.
    "softmax": jax.nn.softmax,
    "standardised_softmax": lambda h: onehot.standardise(jax.nn.softmax(h)),
    "none": lambda h: h,
}
