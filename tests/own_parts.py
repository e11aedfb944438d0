"""Parts that another project would bring, named in tests as `tests.own_parts:NAME`."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from bitdiff_jax.diffusion import losses


@dataclasses.dataclass(frozen=True)
class Levels:
    """One channel: code n of N is the level (2 n + 1) / N - 1."""

    num_bits: int

    num_channels = 1
    clip_range = (-1.0, 1.0)
    pad_value = 0.0
    activation = "tanh"

    @property
    def num_codes(self):
        return 2**self.num_bits

    def encode(self, codes):
        levels = (2 * codes + 1) / self.num_codes - 1
        return jnp.where(codes < 0, 0, levels)[..., None].astype(jnp.float32)

    def decode(self, x0):
        codes = jnp.floor((x0[..., 0] + 1) / 2 * self.num_codes)
        return jnp.clip(codes, 0, self.num_codes - 1).astype(jnp.int32)

    def certainty(self, x0):
        return jnp.ones(x0.shape[:-1], jnp.float32)


class Shifted(Levels):
    """Its codes do not come back."""

    def decode(self, x0):
        return super().decode(x0) ^ 1


class Bare:
    """No encoding at all."""

    def __init__(self, num_bits):
        pass


def absolute(pred, target, mask):
    per_pixel = jnp.sum(jnp.abs(pred - target), -1) * mask
    return jnp.sum(per_pixel, (1, 2)) / jnp.maximum(jnp.sum(mask, (1, 2)), 1)


def never_finite(pred, target, mask):
    return jnp.full(len(pred), jnp.nan)


of_output = losses.Loss(absolute, "raw", of_output=True)


def late(schedule, t):
    """Weighs the second half of the times alone."""
    return jnp.where(jnp.asarray(t) > 0.5, 1.0, 0.0)


class Stripes:
    """Images of two stripes: one region each."""

    def __init__(self, length="4", side="12"):
        self._length, self._side = int(length), int(side)

    def __len__(self):
        return self._length

    def __getitem__(self, index):
        side = self._side
        labels = np.zeros((side, side), np.int32)
        labels[:, side // 2 :] = 1
        image = np.where(labels[..., None] > 0, 200, 30).astype(np.uint8).repeat(3, 2)
        return {"name": f"stripes{index}", "image": image, "labels": (labels,)}


def no_source():
    return 3


def wrong_labels():
    item = Stripes()[0]
    return [{**item, "labels": (item["labels"][0].astype(np.int64),)}]


def negative_labels():
    item = Stripes()[0]
    return [{**item, "labels": (item["labels"][0] - 3,)}]


def fails(*_):
    raise KeyError("missing")


class FailsAtItems(Stripes):
    def __getitem__(self, index):
        return fails()


def one_number(pred, target, mask):
    """No loss of rows: it would be multiplied with all weights without a word."""
    return jnp.mean(jnp.square(pred - target))


def too_many(schedule, t):
    """No weight of rows, but one of each two."""
    return jnp.ones((len(t), len(t)))
