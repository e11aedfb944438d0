"""Label maps -> what a network is trained to draw."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bitdiff_jax.encoding import fill, palette
from bitdiff_jax.encoding.interface import Encoding
from bitdiff_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Palette:
    """How regions get their codes; see `encoding.palette`.

    Attributes:
        layout: a table of `palette.table`, or 'none': no places, but codes drawn afresh each time.
        order: who chooses first.
        frame: what the grid of cells lies over.
        excess: what happens to regions beyond the number of codes.
        choice: 'greedy', one region after the other, or 'optimal', all at once.
        seed: of layout 'random'.
        keep_smallest: of layout 'none': the smallest id gets code 0 (the released `shuffle_zero`).
        max_regions: bound on the ids.
        background: id 0 is the background, which has code 0 for itself; see `palette.assign`.
    """

    layout: str = "similar"
    order: palette.Order = "area"
    frame: palette.Frame = "valid"
    excess: palette.Excess = "ignore"
    choice: palette.Choice = "greedy"
    seed: int = 0
    keep_smallest: bool = True
    max_regions: int = 256
    background: bool = False

    def check(self, num_codes: int) -> None:
        """Raises ValueError if the layout does not exist for so many codes."""
        if self.layout != "none":
            palette.table(self.layout, num_codes, self.seed)

    def assign(
        self, label_map: jax.Array, mask: jax.Array, num_codes: int, key: jax.Array | None
    ) -> palette.Assignment:
        """The codes of one map [H, W]; `key` is for layout 'none' alone."""
        rules: dict[str, Any] = {
            "max_regions": self.max_regions, "excess": self.excess, "mask": mask,
            "background": self.background,
        }  # fmt: skip
        if self.layout != "none":
            table = palette.table(self.layout, num_codes, self.seed)
            return palette.assign(
                label_map, table, order=self.order, frame=self.frame, choice=self.choice, **rules
            )
        if key is None:
            raise InputError("palette layout 'none' draws codes: give target a key")
        keep = self.keep_smallest
        return palette.shuffled(label_map, key, num_codes=num_codes, keep_smallest=keep, **rules)


class Target(NamedTuple):
    """What a batch of label maps becomes."""

    x0: jax.Array  # float32 [B, S, S, C]
    loss_mask: jax.Array  # bool [B, S, S]
    codes: jax.Array  # int32 [B, S, S], -1 where there is none
    excess_pixels: jax.Array  # int32 [B]
    dropped_pixels: jax.Array  # int32 [B]


def make_target(
    labels: jax.Array,
    valid: jax.Array,
    rules: Palette,
    encoding: Encoding,
    *,
    fill_ignored: bool,
    key: jax.Array | None = None,
) -> Target:
    """Gives the regions of a batch their codes, and encodes them.

    Args:
        labels: int32 [B, S, S], ids in [0, max_regions), negative = ignore.
        valid: bool [B, S, S], false on padding.
        rules: how regions get codes.
        encoding: what codes become.
        fill_ignored: show ignored pixels the code of the nearest region, so that x_t does not tell
            where they are. They are out of the loss either way.
        key: PRNG key, or [B] one a row, for layout 'none' alone.
    """
    assign = functools.partial(rules.assign, num_codes=encoding.num_codes)
    if rules.layout == "none" and key is not None:
        keys = key if key.shape else jax.random.split(key, len(labels))
        assigned = jax.vmap(lambda m, v, k: assign(m, v, key=k))(labels, valid, keys)
    else:
        assigned = jax.vmap(lambda m, v: assign(m, v, key=None))(labels, valid)
    codes = assigned.codes
    shown = jax.vmap(fill.nearest_label)(codes, valid) if fill_ignored else codes
    return Target(
        x0=encoding.encode(shown),
        loss_mask=codes >= 0,
        codes=codes,
        excess_pixels=assigned.excess_pixels,
        dropped_pixels=assigned.dropped_pixels,
    )


def region_areas(codes: jax.Array, num_codes: int) -> jax.Array:
    """How many pixels the region of each pixel has.

    Args:
        codes: int32 [B, S, S], in [0, num_codes), -1 where there is none.
        num_codes: number of codes.

    Returns:
        int32 [B, S, S], 1 or more; 0 where there is no code.
    """

    def of_one(codes: jax.Array) -> jax.Array:
        return jnp.where(codes < 0, 0, code_areas(codes, num_codes)[codes])

    return jax.vmap(of_one)(codes)


def code_areas(codes: jax.Array, num_codes: int) -> jax.Array:
    """int32 [num_codes], the number of pixels that have each code in one map.

    Args:
        codes: int32 [S, S], in [0, num_codes), -1 where there is none.
        num_codes: number of codes.
    """
    ids = jnp.where(codes < 0, num_codes, codes).reshape(-1)
    return jax.ops.segment_sum(jnp.ones_like(ids), ids, num_codes + 1)[:num_codes]


def valid_mask(size: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """[B, 2] sizes (h, w) -> bool [B, H, W], true on the top-left h x w rectangle.

    Args:
        size: int [B, 2].
        shape: (H, W).
    """
    height, width = shape
    size = jnp.asarray(size)[:, :, None, None]
    return (jnp.arange(height)[:, None] < size[:, 0]) & (jnp.arange(width) < size[:, 1])
