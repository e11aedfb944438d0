"""Prompts: what is known of a map before it is drawn, as channels beside the image.

A prompt is a raster of the label map's size, whose zeros say nothing. A model takes some of three
kinds, in this order, and training makes them from the map that is to be drawn:

    granularity  2 channels: 1, and (log2 n - 3) / 2 of the number n of regions; alike everywhere
    region       2 channels: 1 on points of one region and -1 on points outside of it; and 1 in the
                 region's bounding box
    codes        the channels of x0, on pixels whose code is known

A training row sees each kind with a probability of its own, so that any of them may be missing,
which is what guidance by a prompt needs (`diffusion.sampling`). All functions are pure, and work
inside jit.
"""

import dataclasses

import jax
import jax.numpy as jnp

from bitdiff_jax.target import code_areas

KINDS = ("granularity", "region", "codes")
MAX_POINTS = 3  # of a region in training, and as many outside of it
_REGION_CHANNELS = _GRANULARITY_CHANNELS = 2


@dataclasses.dataclass(frozen=True)
class Prompts:
    """Which prompts a model takes: the probability with which a training row sees each.

    Attributes:
        granularity: of the number of regions, in [0, 1]; 0 for a model that does not take it.
        region: of points and a box of one region, likewise.
        codes: of the codes of some pixels, likewise.
    """

    granularity: float = 0.0
    region: float = 0.0
    codes: float = 0.0

    def __bool__(self) -> bool:
        """Whether a model takes any."""
        return any(getattr(self, kind) > 0 for kind in KINDS)

    def channels(self, num_channels: int) -> dict[str, slice]:
        """Where the channels of each kind that is taken lie.

        Args:
            num_channels: number C of channels of x0.
        """
        widths = {
            "granularity": _GRANULARITY_CHANNELS, "region": _REGION_CHANNELS, "codes": num_channels,
        }  # fmt: skip
        where, start = {}, 0
        for kind in KINDS:
            if getattr(self, kind) > 0:
                where[kind] = slice(start, start + widths[kind])
                start += widths[kind]
        return where

    def num_channels(self, num_channels: int) -> int:
        """Number P of channels of a prompt, where x0 has `num_channels`."""
        return max((part.stop for part in self.channels(num_channels).values()), default=0)


def granularity(num_regions: jax.Array, valid: jax.Array) -> jax.Array:
    """The prompt that asks for a number of regions.

    Args:
        num_regions: [B], positive.
        valid: bool [B, S, S], false on padding.

    Returns:
        float32 [B, S, S, 2].
    """
    size = (jnp.log2(num_regions.astype(jnp.float32)) - 3) / 2
    values = jnp.stack([jnp.ones_like(size), size], axis=-1)[:, None, None]
    return jnp.where(valid[..., None], values, 0.0)


def draw(
    keys: jax.Array, codes: jax.Array, x0: jax.Array, prompts: Prompts, num_codes: int
) -> jax.Array:
    """Prompts that the maps of a training batch meet, each kind there or not.

    Args:
        keys: typed PRNG keys [B], one a row.
        codes: int32 [B, S, S], in [0, num_codes), negative where there is none.
        x0: float32 [B, S, S, C], what encodes them.
        prompts: which kinds there are, and how often.
        num_codes: number of codes.

    Returns:
        float32 [B, S, S, P].
    """

    def row(key: jax.Array, codes: jax.Array, x0: jax.Array) -> jax.Array:
        made = []
        for index, kind in enumerate(KINDS):
            share = getattr(prompts, kind)
            if share == 0:
                continue
            shown, inside = jax.random.split(jax.random.fold_in(key, index))
            values = _OF_KIND[kind](inside, codes, x0, num_codes)
            made.append(jnp.where(jax.random.bernoulli(shown, jnp.float32(share)), values, 0))
        return jnp.concatenate(made, axis=-1)

    drawn: jax.Array = jax.vmap(row)(keys, codes, x0)
    return drawn


def _granularity(key: jax.Array, codes: jax.Array, x0: jax.Array, num_codes: int) -> jax.Array:
    del key, x0
    number = jnp.sum(code_areas(codes, num_codes) > 0)
    return granularity(jnp.maximum(number, 1)[None], (codes >= 0)[None])[0]


def _region(key: jax.Array, codes: jax.Array, x0: jax.Array, num_codes: int) -> jax.Array:
    """Up to three points in a region and outside of it, at times a line, at times the box."""
    del x0
    which, with_box, count, place, lines, others = jax.random.split(key, 6)
    areas = code_areas(codes, num_codes)
    # By the root of their areas: large regions are asked for more often, but not only they.
    asked = jax.random.categorical(which, jnp.where(areas > 0, jnp.log(areas) / 2, -jnp.inf))
    inside = (codes == asked) & (areas[asked] > 0)
    box = _bounding_box(inside, margin=0)
    boxed = jax.random.bernoulli(with_box)
    num_in, num_out = jax.random.randint(count, (2,), 0, MAX_POINTS + 1)
    num_in = jnp.where(boxed, num_in, jnp.maximum(num_in, 1))
    marked, ends = _points(place, inside, num_in)
    line = inside & _segment(ends[0], ends[1], inside.shape)
    marked |= line & (num_in >= 2) & jax.random.bernoulli(lines)
    # Points outside of a region say most where it could be taken to reach.
    outside = (codes >= 0) & ~inside
    near = outside & _bounding_box(inside, margin=2)
    hard, elsewhere = jax.random.split(others)
    excluded, _ = _points(
        elsewhere, jnp.where(jax.random.bernoulli(hard) & near.any(), near, outside), num_out
    )
    points = marked.astype(jnp.float32) - excluded.astype(jnp.float32)
    return jnp.stack([points, (box & boxed).astype(jnp.float32)], axis=-1)


def _bounding_box(mask: jax.Array, margin: int) -> jax.Array:
    """bool [S, S], the smallest rectangle around a mask and so many pixels more; none if empty."""

    def reach(line: jax.Array) -> jax.Array:
        index = jnp.arange(len(line))
        first = jnp.min(jnp.where(line, index, len(line)))
        last = jnp.max(jnp.where(line, index, -1))
        return (index >= first - margin) & (index <= last + margin) & line.any()

    return reach(mask.any(axis=1))[:, None] & reach(mask.any(axis=0))


def _points(key: jax.Array, among: jax.Array, count: jax.Array) -> tuple[jax.Array, jax.Array]:
    """So many pixels of a mask [S, S] at random, as a mask and as places, int32 [MAX_POINTS, 2]."""
    scores = jnp.where(among, jax.random.uniform(key, among.shape), -1.0).reshape(-1)
    best, places = jax.lax.top_k(scores, MAX_POINTS)
    taken = (best >= 0) & (jnp.arange(MAX_POINTS) < count)
    mask = jnp.zeros(among.size, bool).at[places].set(taken).reshape(among.shape)
    return mask, jnp.stack(jnp.unravel_index(places, among.shape), axis=-1)


def _segment(start: jax.Array, end: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """bool [S, S], the pixels within half a pixel of a straight line between two of them."""
    grid = jnp.stack(jnp.meshgrid(*map(jnp.arange, shape), indexing="ij"), axis=-1)
    along = (end - start).astype(jnp.float32)
    length = jnp.maximum(jnp.sum(along**2), 1.0)
    part = jnp.clip(((grid - start) @ along) / length, 0, 1)
    distance = jnp.linalg.norm(grid - start - part[..., None] * along, axis=-1)
    return distance <= 0.5


def _codes(key: jax.Array, codes: jax.Array, x0: jax.Array, num_codes: int) -> jax.Array:
    """Some regions' codes, of the whole map or of a rectangle of it."""
    share, some, window, corners = jax.random.split(key, 4)
    kept = jax.random.bernoulli(some, jax.random.uniform(share), (num_codes,))
    ends = jnp.sort(jax.random.uniform(corners, (2, 2)), axis=0)
    in_window = jnp.ones(codes.shape, bool)
    for axis in range(2):
        place = (jnp.arange(codes.shape[axis]) + 0.5) / codes.shape[axis]
        in_window &= jnp.expand_dims((place >= ends[0, axis]) & (place <= ends[1, axis]), 1 - axis)
    in_window |= jax.random.bernoulli(window)
    known = (codes >= 0) & kept[jnp.maximum(codes, 0)] & in_window
    return jnp.where(known[..., None], x0, 0.0)


_OF_KIND = {"granularity": _granularity, "region": _region, "codes": _codes}
