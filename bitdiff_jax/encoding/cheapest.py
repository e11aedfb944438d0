"""The linear assignment problem on the device, in exact int32."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

MAX_COST = 2**29  # the sum of three must not overflow int32
_LAST = int(np.iinfo(np.int32).max)


class _Matching(NamedTuple):
    """Who has what, at the least cost for the rows so far; -1 is nobody."""

    discount: jax.Array  # int32 [columns], <= 0, 0 where free: the dual variable of each column
    row_of: jax.Array  # int32 [columns]
    column_of: jax.Array  # int32 [rows]


class _Search(NamedTuple):
    """Dijkstra's algorithm from a new row over the columns."""

    length: jax.Array  # int32 [columns], of the cheapest path found to each
    taker: jax.Array  # int32 [columns], the row that takes it at the end of that path
    done: jax.Array  # bool [columns]
    column: jax.Array  # int32 [], the nearest that is not done


def assign(cost: jax.Array, num_rows: jax.Array | int) -> jax.Array:
    """Gives each of the first `num_rows` rows a column of its own at the least sum of costs.

    Shortest augmenting paths (Jonker and Volgenant, Computing 38, 1987), one row after the other;
    works inside jit and vmap. Of equally cheap assignments it finds one that depends on the costs
    and on the order of rows and columns, but not on the device.

    Args:
        cost: int32 [rows, columns], rows <= columns, each in [0, `MAX_COST`].
        num_rows: the rows that take part; may be traced.

    Returns:
        int32 [rows], the column of each row; -1 for those that take no part.
    """
    rows, columns = cost.shape
    if rows > columns:
        raise ValueError(f"cost must have no more rows than columns, got {rows} x {columns}")
    nothing = _Matching(
        discount=jnp.zeros(columns, jnp.int32),
        row_of=jnp.full(columns, -1, jnp.int32),
        column_of=jnp.full(rows, -1, jnp.int32),
    )

    def add(row: jax.Array, matching: _Matching) -> _Matching:
        return _add_row(cost, row, matching)

    matched: _Matching = jax.lax.fori_loop(0, jnp.asarray(num_rows, jnp.int32), add, nothing)
    return matched.column_of


def _add_row(cost: jax.Array, row: jax.Array, matching: _Matching) -> _Matching:
    """Gives one row more a column: others make way along the cheapest path to a free one."""

    def price(row: jax.Array) -> jax.Array:
        return cost[row] - matching.discount

    def is_taken(search: _Search) -> jax.Array:
        return matching.row_of[search.column] >= 0

    def extend(search: _Search) -> _Search:
        """The row in the nearest column looks what it would pay elsewhere."""
        owner = matching.row_of[search.column]
        done = search.done.at[search.column].set(True)
        prices, here = price(owner), search.length[search.column]
        through = prices - prices[search.column] + here
        shorter = (through < search.length) & ~done
        length = jnp.where(shorter, through, search.length)
        return _Search(length, jnp.where(shorter, owner, search.taker), done, nearest(length, done))

    def nearest(length: jax.Array, done: jax.Array | bool) -> jax.Array:
        return jnp.argmin(jnp.where(done, _LAST, length)).astype(jnp.int32)

    search = _Search(
        length=price(row),
        taker=jnp.full_like(matching.row_of, row),
        done=jnp.zeros_like(matching.row_of, bool),
        column=nearest(price(row), False),
    )
    search = jax.lax.while_loop(is_taken, extend, search)
    saved = search.length - search.length[search.column]
    discount = matching.discount + jnp.where(search.done, saved, 0)

    def is_left(moves: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        return moves[2] >= 0

    def take(
        moves: tuple[jax.Array, jax.Array, jax.Array],
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The path backwards: each taker leaves a column to the taker before it."""
        row_of, column_of, column = moves
        taker = search.taker[column]
        return row_of.at[column].set(taker), column_of.at[taker].set(column), column_of[taker]

    moves = (matching.row_of, matching.column_of, search.column)
    row_of, column_of, _ = jax.lax.while_loop(is_left, take, moves)
    return _Matching(discount, row_of, column_of)
