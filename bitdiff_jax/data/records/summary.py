"""What is in a prepared set, in words and in pictures."""

import collections
from collections.abc import Mapping, Sequence

import numpy as np

from bitdiff_jax.data import contact_sheet as sheets
from bitdiff_jax.data import labelmaps
from bitdiff_jax.data.pipeline import Source
from bitdiff_jax.data.records import shards

# What a 6-bit code can tell apart.
_MANY_REGIONS = 64
_ROWS = 6
_PAIRS = 4  # in a row


def as_text(
    title: str,
    statistics: Mapping[str, Sequence[shards.ShardStatistics]],
    *,
    unlabelled: str,
    seconds: float,
    made: int,
) -> str:
    """The summary, a column for each split and one for all of them.

    Args:
        title: the first line.
        statistics: of the shards of each split.
        unlabelled: what pixels without a region were taken for.
        seconds: of this run.
        made: pictures that this run has made; the others were there.
    """
    columns = {name: _column(parts) for name, parts in statistics.items()}
    every = [part for parts in statistics.values() for part in parts]
    if len(columns) > 1:
        columns["together"] = _column(every)
    rows = [["", *columns], *([row, *(c[row] for c in columns.values())] for row in _column([]))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in rows
    ]
    lines = [title, "", *lines, "", f"unlabelled pixels: {unlabelled}"]
    there = sum(len(part.names) + len(part.skipped) for part in every) - made
    lines.append(
        f"time: {seconds:.1f} s" + (f" ({there} pictures were there already)" if there else "")
    )
    skipped = [
        (name, *each) for name, parts in statistics.items() for p in parts for each in p.skipped
    ]
    if skipped:
        lines += ["", f"skipped ({len(skipped)}):"]
        lines += [f"  {split} {name}: {reason}" for split, name, reason in skipped]
    return "\n".join(lines) + "\n"


def _column(parts: Sequence[shards.ShardStatistics]) -> dict[str, str]:
    counts = np.array([n for part in parts for maps in part.regions for n in maps] or [0])
    annotators = collections.Counter(len(maps) for part in parts for maps in part.regions)
    pixels = sum(part.pixels for part in parts)
    low, high = min(annotators, default=0), max(annotators, default=0)
    labelled = sum(part.labelled for part in parts)
    return {
        "pictures": str(sum(len(part.names) for part in parts)),
        "skipped": str(sum(len(part.skipped) for part in parts)),
        "label maps per picture": str(low) if low == high else f"{low} to {high}",
        "regions per label map, median": f"{np.median(counts):g}",
        "  90 % have at most": f"{np.quantile(counts, 0.9, method='inverted_cdf'):g}",
        "  most": str(counts.max()),
        f"label maps with over {_MANY_REGIONS}": f"{(counts > _MANY_REGIONS).mean():.2%}",
        "regions lost by shrinking": str(sum(part.lost for part in parts)),
        "labelled pixels": f"{labelled / pixels:.2%}" if pixels else "-",
        "size on disk, MB": f"{sum(part.bytes for part in parts) / 1e6:.1f}",
    }


def contact_sheet(sources: Sequence[Source]) -> bytes:
    """Pictures spread evenly over the sources, each with its first label map in colours beside it.

    Returns:
        A PNG.
    """
    places = [(source, index) for source in sources for index in range(len(source))]
    count = min(_ROWS * _PAIRS, len(places))
    # Halves of the steps: the first and the last picture are no better than others.
    shown = [places[(2 * k + 1) * len(places) // (2 * count)] for k in range(count)]
    items = [source[index] for source, index in shown]
    # Numbered anew: ids that are far apart may share a colour.
    pairs = [(item["image"], labelmaps.renumber(item["labels"][0])[1]) for item in items]
    rows = [sum(pairs[k : k + _PAIRS], ()) for k in range(0, count, _PAIRS)]
    return sheets.to_png(sheets.contact_sheet(rows))
