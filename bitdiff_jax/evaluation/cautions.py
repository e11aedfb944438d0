"""Warnings about metrics that look good but mislead."""

import numpy as np

from bitdiff_jax.evaluation import rows

# Pixels that are not annotated seldom reach this share; a background that is ignored often does.
MUCH_IGNORED = 0.4


def much_ignored(table: rows.Table) -> str | None:
    """One line where much of the ground truth is ignored, None where little is.

    Ignored pixels are in no metric, so predictions there do not count: on nuclei whose background
    is ignored, a grid of 64 cells has ARI .56, and .0025 where the background is a region.

    Args:
        table: rows with a column 'ignored_share', the ignored share of an image's pixels.
    """
    share = float(np.mean(table.column("ignored_share"))) if table.names else 0.0
    if not share > MUCH_IGNORED:
        return None
    return (
        f"{share:.0%} of the ground truth's pixels are ignored "
        f"({table.about.get('unlabelled') or 'they are not annotated'}): no metric sees what is "
        "predicted there, and a map that cuts a background to pieces or draws objects into it "
        "scores as well as one that does not; if these pixels are background rather than not "
        "annotated, count them as a region: zero=background in the spec, or --zero=background"
    )
