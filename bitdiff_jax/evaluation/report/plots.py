"""Plots as SVG text, for pages that must stand alone: no script, no font, nothing to fetch.

A plot without data is ''.
"""

import math
from collections.abc import Mapping

import numpy as np

from bitdiff_jax.evaluation.report import svg
from bitdiff_jax.evaluation.statistics.estimates import Estimate

_MAX_POINTS = 3000


def histogram(title: str, x_label: str, series: Mapping[str, np.ndarray], *, bins: int = 25) -> str:
    """Shares of the images by value, one outline a series (two at most).

    Args:
        title: title above the plot.
        x_label: label of the values' axis.
        series: values float [n] by name; those that are not finite are left out.
        bins: number of bins between 0 and 1; they are wider if values reach further.
    """
    known = {name: v[np.isfinite(v)] for name, v in series.items()}
    known = {name: v for name, v in known.items() if len(v)}
    if not known:
        return ""
    across = svg.ticks(
        min(0.0, *(float(v.min()) for v in known.values())),
        max(1.0, *(float(v.max()) for v in known.values())),
        7,
    )
    low, high = across[0], across[-1]
    shares = {n: np.histogram(v, bins, (low, high))[0] / len(v) for n, v in known.items()}
    up = svg.ticks(0.0, max(float(s.max()) for s in shares.values()), 4)
    top, floor = up[-1], svg.HEIGHT - svg.BOTTOM
    x = lambda value: svg.LEFT + (value - low) / (high - low) * (svg.WIDTH - svg.LEFT - svg.RIGHT)  # noqa: E731
    y = lambda share: floor - share / top * (floor - svg.TOP)  # noqa: E731
    digits = 0 if up[1] >= 0.01 else 1
    body = [svg.line(svg.LEFT, y(v), svg.WIDTH - svg.RIGHT, y(v), svg.FAINT) for v in up]
    body += [svg.text(svg.LEFT - 6, y(v) + 4, f"{v:.{digits}%}", "end") for v in up]
    body += [svg.text(x(v), floor + 16, f"{v:g}") for v in across]
    body += [svg.text((svg.LEFT + svg.WIDTH - svg.RIGHT) / 2, svg.HEIGHT - 8, x_label)]
    body += [svg.upright(14, (svg.TOP + floor) / 2, "share of the pictures")]
    edges = np.linspace(low, high, bins + 1)
    for (name, each), colour, place in zip(
        shares.items(), (svg.MAIN, svg.SECOND), (svg.LEFT, (svg.LEFT + svg.WIDTH) / 2), strict=False
    ):
        points = [f"{x(low):.1f},{y(0):.1f}"]
        for share, start, end in zip(each, edges[:-1], edges[1:], strict=True):
            points += [f"{x(start):.1f},{y(share):.1f}", f"{x(end):.1f},{y(share):.1f}"]
        points.append(f"{x(high):.1f},{y(0):.1f}")
        body.append(
            f'<polygon points="{" ".join(points)}" fill="{colour}" fill-opacity=".25" '
            f'stroke="{colour}"/>'
        )
        body.append(f'<rect x="{place}" y="27" width="10" height="10" fill="{colour}"/>')
        label = f"{name}, mean {known[name].mean():.3f}"
        body.append(svg.text(place + 15, 36, label, "start", colour))
    body.append(svg.line(svg.LEFT, floor, svg.WIDTH - svg.RIGHT, floor, svg.INK))
    return svg.frame(title, body)


def intervals(
    title: str, x_label: str, estimates: Mapping[str, Estimate], *, background: str = ""
) -> str:
    """Means with their intervals, one per line, on an axis that holds 0 and all of them.

    Args:
        title: title above the plot.
        x_label: label of the axis.
        estimates: the means by name.
        background: colour of the background, for an image in a file of its own.
    """
    known = {name: e for name, e in estimates.items() if e.num_images}
    if not known:
        return ""
    top, left, right = 26, 130, 58
    height = top + svg.BOTTOM + 18 * len(known) + 4
    drawn = [e for e in known.values() if e.num_images > 1]  # one image has no interval
    ends = [
        0.0,
        *(end for e in drawn for end in (e.low, e.high)),
        *(e.mean for e in known.values()),
    ]
    across = svg.ticks(min(ends), max(ends) if max(ends) > min(ends) else min(ends) + 1)
    low, high = across[0], across[-1]
    x = lambda value: left + (value - low) / (high - low) * (svg.WIDTH - left - right)  # noqa: E731
    floor = height - svg.BOTTOM
    body = [svg.line(x(v), top, x(v), floor, svg.FAINT) for v in across]
    body += [svg.text(x(v), floor + 16, f"{v:g}") for v in across]
    body += [svg.text((left + svg.WIDTH - right) / 2, height - 8, x_label)]
    for row, (name, estimate) in enumerate(known.items()):
        y = top + 18 * row + 12
        body.append(svg.text(left - 8, y + 4, name, "end"))
        if estimate in drawn:
            body.append(svg.line(x(estimate.low), y, x(estimate.high), y, svg.MAIN, 3))
        body.append(f'<circle cx="{x(estimate.mean):.1f}" cy="{y}" r="4" fill="{svg.MAIN}"/>')
        body.append(svg.text(svg.WIDTH - right + 14, y + 4, f"{estimate.mean:.3f}", "start"))
    return svg.frame(title, body, height, background=background)


def scatter(title: str, x_label: str, y_label: str, x: np.ndarray, y: np.ndarray) -> str:
    """One number against another of each image, both on a logarithmic axis from 1 on.

    Of more than 3,000 images every so many-th is drawn, and the title says so.
    """
    keep = np.isfinite(x) & np.isfinite(y)
    x, y = x[keep], y[keep]
    if not len(x):
        return ""
    step = -(-len(x) // _MAX_POINTS)
    marks = [m * 10**p for p in range(7) for m in (1, 2, 5)]
    most = max(float(x.max()), float(y.max()), 10.0)
    marks = marks[: 1 + next((i for i, m in enumerate(marks) if m >= most), len(marks) - 1)]
    # On a long axis there is no room for all.
    labels = marks if len(marks) < 9 else [m for m in marks if math.log10(m).is_integer()]
    top = math.log10(max(marks[-1], most))
    floor = svg.HEIGHT - svg.BOTTOM
    across = lambda v: svg.LEFT + math.log10(max(v, 1)) / top * (svg.WIDTH - svg.LEFT - svg.RIGHT)  # noqa: E731
    up = lambda v: floor - math.log10(max(v, 1)) / top * (floor - 28)  # noqa: E731
    body = []
    for value in labels:
        body.append(svg.line(svg.LEFT, up(value), svg.WIDTH - svg.RIGHT, up(value), svg.FAINT))
        body.append(svg.line(across(value), floor, across(value), up(10**top), svg.FAINT))
        body.append(svg.text(across(value), floor + 16, f"{value:,}"))
        body.append(svg.text(svg.LEFT - 6, up(value) + 4, f"{value:,}", "end"))
    body.append(svg.line(across(1), up(1), across(10**top), up(10**top), svg.INK))
    for a, b in zip(x[::step], y[::step], strict=True):
        body.append(
            f'<circle cx="{across(a):.1f}" cy="{up(b):.1f}" r="2.5" fill="{svg.MAIN}" '
            'fill-opacity=".4"/>'
        )
    body.append(svg.text((svg.LEFT + svg.WIDTH - svg.RIGHT) / 2, svg.HEIGHT - 8, x_label))
    body.append(svg.upright(14, (floor + 28) / 2, y_label))
    shown = f" ({len(x[::step]):,} of {len(x):,} pictures)" if step > 1 else ""
    return svg.frame(title + shown, body)
