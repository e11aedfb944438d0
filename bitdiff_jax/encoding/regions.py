"""What the palette knows of the regions of a label map, as exact int32 sums."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

Order = Literal["id", "area"]
Excess = Literal["merge", "ignore"]


class Regions(NamedTuple):
    """Exact sums over each region, int32 [max_regions]."""

    area: jax.Array
    row_sum: jax.Array
    column_sum: jax.Array
    first: jax.Array  # raster index of the first pixel


class Visit(NamedTuple):
    """Which regions get a code, and in which order."""

    ids: jax.Array  # int32 [V], V = min(max_regions, num_codes)
    active: jax.Array  # bool [V], the first so many true; false where there are fewer regions
    present: jax.Array  # bool [max_regions]
    is_excess: jax.Array  # bool [max_regions]
    largest: jax.Array  # int32 [], the id of the largest region
    area: jax.Array  # int32 [max_regions], before any merging


def measure(ids: jax.Array, max_regions: int) -> Regions:
    """Areas and sums of coordinates.

    Args:
        ids: int32 [H, W] in [0, max_regions]; the last one is of pixels that do not count.
        max_regions: static.
    """
    height, width = ids.shape
    rows = jax.lax.broadcasted_iota(jnp.int32, ids.shape, 0)
    columns = jax.lax.broadcasted_iota(jnp.int32, ids.shape, 1)
    flat = ids.reshape(-1)

    def total(values: jax.Array) -> jax.Array:
        return jax.ops.segment_sum(values.reshape(-1), flat, max_regions + 1)[:max_regions]

    raster = jnp.arange(height * width, dtype=jnp.int32)
    first = jax.ops.segment_min(raster, flat, max_regions + 1)[:max_regions]
    return Regions(total(jnp.ones_like(rows)), total(rows), total(columns), first)


def visiting_order(regions: Regions, num_codes: int, order: Order) -> Visit:
    """The `num_codes` largest regions, by 'id' ascending or by 'area' descending.

    Equal areas are ordered by which region comes first in raster order.
    """
    max_regions = regions.area.shape[0]
    present = regions.area > 0
    by_area = jnp.lexsort((regions.first, -regions.area)).astype(jnp.int32)
    rank = jnp.zeros_like(by_area).at[by_area].set(jnp.arange(max_regions, dtype=jnp.int32))
    kept = present & (rank < num_codes)
    num_visits = min(max_regions, num_codes)
    if order == "area":
        visit_ids = by_area[:num_visits]
    else:
        ascending = jnp.arange(max_regions, dtype=jnp.int32)
        visit_ids = jnp.sort(jnp.where(kept, ascending, max_regions))[:num_visits]
    active = jnp.arange(num_visits) < jnp.sum(kept)
    return Visit(
        ids=jnp.where(active, visit_ids, 0),
        active=active,
        present=present,
        is_excess=present & ~kept,
        largest=by_area[0],
        area=regions.area,
    )


def by_id(values: jax.Array, visit: Visit) -> jax.Array:
    """Values in visiting order [V] -> int32 [max_regions], -1 for ids that are not visited."""
    max_regions = visit.present.shape[0]
    # Inactive visits write to a row of their own, which is cut off again.
    target = jnp.where(visit.active, visit.ids, max_regions)
    return jnp.full(max_regions + 1, -1, jnp.int32).at[target].set(values)[:max_regions]


def merge_excess(regions: Regions, visit: Visit) -> Regions:
    """The largest region takes over the pixels of those in excess, and so their centroid."""

    def merged(values: jax.Array) -> jax.Array:
        moved = jnp.sum(jnp.where(visit.is_excess, values, 0), dtype=jnp.int32)
        return values.at[visit.largest].add(moved)

    return regions._replace(
        area=merged(regions.area),
        row_sum=merged(regions.row_sum),
        column_sum=merged(regions.column_sum),
    )
