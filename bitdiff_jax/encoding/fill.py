"""Filling pixels without a label from the nearest labelled one."""

import jax
import jax.numpy as jnp


def nearest_label(label_map: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """Replaces negative labels by the label of the nearest labelled pixel (Euclidean).

    A pixel that training ignores still takes part in x_t, and a zero there would tell the network
    where it is. Filled from its surroundings it tells nothing. Exact, in two passes: along the
    rows, then over the columns; ties go to the smaller row, then to the left.

    Args:
        label_map: int [H, W]; negative means no label.
        mask: bool [H, W]; pixels outside keep their value and lend none. None means all.

    Returns:
        int32 [H, W]. Unchanged if there is no labelled pixel at all.
    """
    label_map = label_map.astype(jnp.int32)
    mask = jnp.ones(label_map.shape, bool) if mask is None else mask.astype(bool)
    labelled = (label_map >= 0) & mask
    height, width = label_map.shape
    columns = jnp.arange(width, dtype=jnp.int32)
    far = jnp.int32(height + width)  # further than any two pixels are, along an axis

    left = jax.lax.cummax(jnp.where(labelled, columns, -far), axis=1)
    right = jax.lax.cummin(jnp.where(labelled, columns, 2 * far), axis=1, reverse=True)
    goes_left = columns - left <= right - columns
    source = jnp.where(goes_left, left, right)
    distance = jnp.minimum(jnp.minimum(columns - left, right - columns), far)

    rows = jnp.arange(height, dtype=jnp.int32)
    squared = jnp.square(rows[:, None] - rows[None, :])[:, :, None] + jnp.square(distance)[None]
    source_row = jnp.argmin(squared, axis=1)  # [H, W]: of the row from which each pixel takes
    source_column = jnp.clip(source[source_row, columns], 0, width - 1)
    filled = label_map[source_row, source_column]
    return jnp.where(mask & ~labelled & labelled.any(), filled, label_map)
