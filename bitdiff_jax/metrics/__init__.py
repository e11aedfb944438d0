"""How alike two label maps are: partitions compared whatever their regions are called.

`contingency_table` counts on the device inside a jitted program; `..._from_table` finishes a
figure on the host in float64. `adjusted_rand_index`, `rand_index` and `hungarian_iou` do both for
label maps at hand; `adjusted_rand_index_jit` is the float32 figure for use inside a step.
"""

from bitdiff_jax.metrics.contingency import contingency_table, count_out_of_range
from bitdiff_jax.metrics.matching import hungarian_iou, hungarian_iou_from_table
from bitdiff_jax.metrics.rand import (
    adjusted_rand_index,
    adjusted_rand_index_from_table,
    adjusted_rand_index_jit,
    rand_index,
    rand_index_from_table,
)
from bitdiff_jax.metrics.relabel import relabel

__all__ = [
    "adjusted_rand_index",
    "adjusted_rand_index_from_table",
    "adjusted_rand_index_jit",
    "contingency_table",
    "count_out_of_range",
    "hungarian_iou",
    "hungarian_iou_from_table",
    "rand_index",
    "rand_index_from_table",
    "relabel",
]
