"""How alike two label maps are: partitions compared whatever their regions are called.

`contingency_table` counts on the device inside a jitted program; `..._from_table` finishes a
metric on the host in float64, for one table or for those of several annotators.
`adjusted_rand_index`, `hungarian_iou` and their like do both for label maps on the host;
`adjusted_rand_index_jit` is the float32 metric for use inside a step. `boundary_counts` and
`trimap_iou` need the maps themselves.
What is added up over images before it is divided comes as counts: `CoveringCounts`,
`PanopticCounts`, `EntityMatches`, `BoundaryCounts`.

A `Measure` is a function of a prediction and a truth with the `Metric`s that it gives: their names,
titles, units, and whether high or low values are better. `MEASURES` are computed by every
evaluation; `TABLE_MEASURES` are those of them that need no boundaries and are ten times as fast.
"""

from bitdiff_jax.metrics.boundary import BoundaryCounts, boundary_counts
from bitdiff_jax.metrics.contingency import contingency_table, count_out_of_range
from bitdiff_jax.metrics.counts import region_count_error_from_table
from bitdiff_jax.metrics.covering import (
    CoveringCounts,
    best_overlaps,
    covering_counts,
    segmentation_covering,
    segmentation_covering_from_table,
)
from bitdiff_jax.metrics.entity_ap import (
    EntityAP,
    EntityMatches,
    entity_ap,
    entity_matches,
    region_scores,
)
from bitdiff_jax.metrics.information import (
    Entropies,
    conditional_entropies_from_table,
    variation_of_information,
    variation_of_information_from_table,
)
from bitdiff_jax.metrics.matching import (
    hungarian_iou,
    hungarian_iou_from_table,
    symmetric_iou_from_table,
)
from bitdiff_jax.metrics.measure import Measure, Metric, metrics_of
from bitdiff_jax.metrics.panoptic import (
    PanopticCounts,
    panoptic_counts,
    panoptic_quality,
    panoptic_quality_from_table,
)
from bitdiff_jax.metrics.rand import (
    adjusted_rand_index,
    adjusted_rand_index_from_table,
    adjusted_rand_index_jit,
    probabilistic_rand_index_from_tables,
    rand_index,
    rand_index_from_table,
)
from bitdiff_jax.metrics.ranked_ap import RankedRegions, found_by_row, ranked_ap
from bitdiff_jax.metrics.relabel import relabel
from bitdiff_jax.metrics.scale import Optimum, optimal_boundary_scales, optimal_scales
from bitdiff_jax.metrics.standard_measures import BOUNDARY_MEASURE, MEASURES, TABLE_MEASURES
from bitdiff_jax.metrics.trimap import trimap_iou

__all__ = [
    "BOUNDARY_MEASURE",
    "MEASURES",
    "TABLE_MEASURES",
    "BoundaryCounts",
    "CoveringCounts",
    "EntityAP",
    "EntityMatches",
    "Entropies",
    "Measure",
    "Metric",
    "Optimum",
    "PanopticCounts",
    "RankedRegions",
    "adjusted_rand_index",
    "adjusted_rand_index_from_table",
    "adjusted_rand_index_jit",
    "best_overlaps",
    "boundary_counts",
    "conditional_entropies_from_table",
    "contingency_table",
    "count_out_of_range",
    "covering_counts",
    "entity_ap",
    "entity_matches",
    "found_by_row",
    "hungarian_iou",
    "hungarian_iou_from_table",
    "metrics_of",
    "optimal_boundary_scales",
    "optimal_scales",
    "panoptic_counts",
    "panoptic_quality",
    "panoptic_quality_from_table",
    "probabilistic_rand_index_from_tables",
    "rand_index",
    "rand_index_from_table",
    "ranked_ap",
    "region_count_error_from_table",
    "region_scores",
    "relabel",
    "segmentation_covering",
    "segmentation_covering_from_table",
    "symmetric_iou_from_table",
    "trimap_iou",
    "variation_of_information",
    "variation_of_information_from_table",
]
