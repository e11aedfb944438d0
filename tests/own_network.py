"""A network of somebody else's, as the config can name it: `tests.own_network:ThreeConvs`."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from bitdiff_jax.nets.activations import ACTIVATIONS


class ThreeConvs(nn.Module):
    """Three convolutions, with the time added in between."""

    out_channels: int
    final_activation: str
    dtype: jnp.dtype
    width: int = 8
    kernel_size: tuple[int, ...] = (3, 3)

    @nn.compact
    def __call__(self, x, time):
        h = nn.Conv(self.width, self.kernel_size, dtype=self.dtype, name="first")(x)
        h += nn.Dense(self.width, dtype=self.dtype, name="time")(time[:, None])[:, None, None]
        h = nn.Conv(self.width, self.kernel_size, dtype=self.dtype, name="second")(nn.silu(h))
        h = nn.Conv(self.out_channels, (1, 1), name="last")(nn.silu(h))
        return ACTIVATIONS[self.final_activation](h)


class WithState(nn.Module):
    """What a network must not be: it has running statistics."""

    out_channels: int
    final_activation: str
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x, time):
        return nn.BatchNorm(use_running_average=False)(nn.Conv(self.out_channels, (1, 1))(x))


@dataclasses.dataclass(frozen=True)
class WithoutFlax:
    """One product over the channels, written without any library of networks."""

    out_channels: int

    def init(self, key, x, time):
        return {"params": {"kernel": jax.random.normal(key, (x.shape[-1], self.out_channels))}}

    def apply(self, variables, x, time):
        return jnp.tanh((x + time[:, None, None, None]) @ variables["params"]["kernel"])


NOT_A_CLASS = 3
