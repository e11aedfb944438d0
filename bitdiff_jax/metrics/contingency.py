"""How many pixels each predicted region shares with each target region, counted on the device.

The contingency table is all that the Rand indices and the matched IoU need to know of two label
maps. It is small (a few KB for an image of any size) and exact in int32, so it is what leaves the
device; the metrics need pair counts up to pixels squared and are finished on the host (`rand`,
`matching`).
"""

import functools
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from bitdiff_jax.errors import InputError

# (n + 1) * n must be an int32 index.
_MAX_LABELS = 46340
# Pixels a one-hot product takes at a time: bounds its memory, and its float32 counts stay exact.
_CHUNK = 4096


def contingency_table(
    pred: ArrayLike, target: ArrayLike, mask: ArrayLike | None = None, *, num_labels: int
) -> jax.Array:
    """Counts the pixels of every (predicted region, target region) pair.

    What counts is decided the same way in every function of this package:

    * `mask` false or `target` negative (ignore): the pixel is left out.
    * `pred` negative (no region) where the target has a label: the pixel belongs to one more
      predicted region, the table's last row. Unassigned pixels score as if they had an id of their
      own; if they were left out, they would cost nothing.
    * An id >= `num_labels`: the pixel cannot be counted and is left out. `count_out_of_range`
      says how many there were; the metrics for the host raise instead.

    Works under `jit` and `vmap`, and keeps a sharded leading axis sharded.

    Args:
        pred: integer label maps [..., H, W]; every leading axis is a batch axis.
        target: integer label maps of the same shape.
        mask: bool of the same shape, true where pixels count; None counts all.
        num_labels: number L of possible ids, static, in [1, 46340]; ids are in [0, L).

    Returns:
        int32 [..., L + 1, L]: rows are predicted ids 0..L-1, then "no region"; columns are target
        ids. Exact for maps of less than 2^31 pixels, without 64-bit mode.

    Raises:
        InputError: shapes differ, a map is not integer, the mask is not bool, L is out of its
            range.

    Example:
        >>> contingency_table(np.array([[0, 0, 1, -1]]), np.array([[0, 1, 1, 1]]), num_labels=2)
        Array([[1, 1],
               [0, 1],
               [0, 1]], dtype=int32)
    """
    check_maps(pred, target, mask, num_labels)
    table: jax.Array = _table(*_device_maps(pred, target, mask, num_labels), num_labels=num_labels)
    return table


def count_out_of_range(
    pred: ArrayLike, target: ArrayLike, mask: ArrayLike | None = None, *, num_labels: int
) -> jax.Array:
    """Counts the pixels that `contingency_table` had to leave out because an id was too large.

    It takes the arguments of `contingency_table` and raises the same errors. Masked pixels and
    pixels with a negative target are left out on purpose and are not counted here. The sum of the
    table and this count make up all other pixels.

    Returns:
        int32 [...]: 0 where the table is complete.
    """
    check_maps(pred, target, mask, num_labels)
    lost: jax.Array = _lost(*_device_maps(pred, target, mask, num_labels), num_labels=num_labels)
    return lost


def check_maps(pred: Any, target: Any, mask: Any, num_labels: int) -> None:
    """Raises InputError unless shapes, dtypes and `num_labels` fit; values are not checked."""
    try:
        operator.index(num_labels)
    except TypeError:
        raise InputError(
            f"num_labels must be a static Python integer, got {type(num_labels).__name__}"
        ) from None
    if not 1 <= num_labels <= _MAX_LABELS:
        raise InputError(f"num_labels must be in [1, {_MAX_LABELS}], got {num_labels}")
    shape = np.shape(target)
    if np.shape(pred) != shape:
        raise InputError(
            f"pred has shape {np.shape(pred)} and target {shape}: bring the prediction to the "
            "target's size first (nearest neighbour)"
        )
    if len(shape) < 2:
        raise InputError(f"label maps must be [..., H, W], got shape {shape}")
    for name, labels in (("pred", pred), ("target", target)):
        if not jnp.issubdtype(_dtype(labels), jnp.integer):
            raise InputError(
                f"{name} must hold integer ids, got {_dtype(labels)}: cast it with astype(int32)"
            )
    if mask is not None:
        if np.shape(mask) != shape:
            raise InputError(f"mask has shape {np.shape(mask)} and the label maps {shape}")
        if _dtype(mask) != jnp.bool_:
            raise InputError(f"mask must be bool, got {_dtype(mask)}: pass mask != 0")


def _dtype(array: Any) -> np.dtype:
    return np.dtype(array.dtype) if hasattr(array, "dtype") else np.asarray(array).dtype


def _device_maps(
    pred: ArrayLike, target: ArrayLike, mask: ArrayLike | None, num_labels: int
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    narrow = functools.partial(_to_int32, num_labels=num_labels)
    return narrow(pred), narrow(target), None if mask is None else jnp.asarray(mask)


def _to_int32(labels: ArrayLike, num_labels: int) -> jax.Array:
    # Clipped in its own dtype first: a plain cast would wrap 2**32 to id 0.
    array: Any = labels if isinstance(labels, jax.Array) else np.asarray(labels)
    if array.dtype.itemsize >= 4 and array.dtype != jnp.int32:
        low = -1 if jnp.issubdtype(array.dtype, jnp.signedinteger) else 0
        array = array.clip(low, num_labels)
    return jnp.asarray(array.astype(jnp.int32))


def _is_labelled(target: jax.Array, mask: jax.Array | None) -> jax.Array:
    return target >= 0 if mask is None else (target >= 0) & mask


@functools.partial(jax.jit, static_argnames="num_labels")
def _lost(
    pred: jax.Array, target: jax.Array, mask: jax.Array | None, *, num_labels: int
) -> jax.Array:
    too_large = (pred >= num_labels) | (target >= num_labels)
    return jnp.sum(_is_labelled(target, mask) & too_large, axis=(-2, -1), dtype=jnp.int32)


@functools.partial(jax.jit, static_argnames="num_labels")
def _table(
    pred: jax.Array, target: jax.Array, mask: jax.Array | None, *, num_labels: int
) -> jax.Array:
    in_range = (pred < num_labels) & (target < num_labels)
    rows = jnp.where(pred < 0, num_labels, pred)
    columns = jnp.where(_is_labelled(target, mask) & in_range, target, -1)
    flat = (*pred.shape[:-2], pred.shape[-2] * pred.shape[-1])

    def count(rows: jax.Array, columns: jax.Array) -> jax.Array:
        # TPUs scatter one element at a time, and are fast at products of matrices.
        table: jax.Array = jax.lax.platform_dependent(
            rows,
            columns,
            tpu=functools.partial(count_by_product, num_labels=num_labels),
            default=functools.partial(count_by_scatter, num_labels=num_labels),
        )
        return table

    # One vmap per leading axis: merging the axes into one would move a sharded batch about.
    for _ in flat[:-1]:
        count = jax.vmap(count)
    return count(rows.reshape(flat), columns.reshape(flat))


def count_by_scatter(rows: jax.Array, columns: jax.Array, *, num_labels: int) -> jax.Array:
    """Adds 1 at (row, column) for each pixel; int32 [N] in, int32 [L + 1, L] out.

    Rows are in [0, L]; a column of -1 leaves the pixel out.
    """
    size = (num_labels + 1) * num_labels
    index = jnp.where(columns >= 0, rows * num_labels + columns, size)
    counts = jnp.zeros(size, jnp.int32).at[index].add(1, mode="drop")
    return counts.reshape(num_labels + 1, num_labels)


def count_by_product(rows: jax.Array, columns: jax.Array, *, num_labels: int) -> jax.Array:
    """The same table as `count_by_scatter`, as a sum of products of one-hot matrices.

    Zeros and ones are exact in bfloat16 and the sums of a chunk in float32, so no matrix unit's
    default precision can change the counts.
    """
    padding = -rows.size % _CHUNK
    rows = jnp.pad(rows, (0, padding)).reshape(-1, _CHUNK)
    columns = jnp.pad(columns, (0, padding), constant_values=-1).reshape(-1, _CHUNK)

    def add_chunk(table: jax.Array, chunk: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        product = jnp.einsum(
            "np,nt->pt",
            jax.nn.one_hot(chunk[0], num_labels + 1, dtype=jnp.bfloat16),
            jax.nn.one_hot(chunk[1], num_labels, dtype=jnp.bfloat16),
            preferred_element_type=jnp.float32,
        )
        return table + product.astype(jnp.int32), None

    start = jnp.zeros((num_labels + 1, num_labels), jnp.int32)
    return jax.lax.scan(add_chunk, start, (rows, columns))[0]
