"""Plots as SVG text, for pages that must stand alone: no script, no font, nothing to fetch.

A plot of nothing is ''.
"""

import html
import math
from collections.abc import Mapping, Sequence

import numpy as np

from bitdiff_jax.evaluation.tables import Estimate

_WIDTH, _HEIGHT = 470, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 16, 48, 42
_INK, _FAINT, _MAIN, _SECOND = "#222", "#ddd", "#2563a8", "#c0562f"
_MAX_POINTS = 3000


def _frame(title: str, body: Sequence[str], height: int = _HEIGHT) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'width="{_WIDTH}" height="{height}" font-family="sans-serif" font-size="12">'
        f"<title>{html.escape(title)}</title>"
        f'<text x="12" y="17" font-weight="bold" fill="{_INK}">{html.escape(title)}</text>'
        + "".join(body)
        + "</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str = "middle", colour: str = _INK) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">'
        f"{html.escape(text)}</text>"
    )


def _upright(x: float, y: float, text: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" fill="{_INK}" '
        f'transform="rotate(-90 {x:.1f} {y:.1f})">{html.escape(text)}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{width}"/>'
    )


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers from at most `low` to at least `high`; low < high."""
    step = 10.0 ** math.floor(math.log10((high - low) / count))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (m * step) <= count + 1e-9)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def histogram(title: str, x_label: str, series: Mapping[str, np.ndarray], *, bins: int = 25) -> str:
    """Shares of the pictures by value, one outline a series (two at most).

    Args:
        title: above the plot.
        x_label: what the values are.
        series: name -> float [n]; what is not finite is left out.
        bins: number of them between 0 and 1; wider if values reach further.
    """
    known = {name: v[np.isfinite(v)] for name, v in series.items()}
    known = {name: v for name, v in known.items() if len(v)}
    if not known:
        return ""
    across = ticks(
        min(0.0, *(float(v.min()) for v in known.values())),
        max(1.0, *(float(v.max()) for v in known.values())),
        7,
    )
    low, high = across[0], across[-1]
    shares = {n: np.histogram(v, bins, (low, high))[0] / len(v) for n, v in known.items()}
    up = ticks(0.0, max(float(s.max()) for s in shares.values()), 4)
    top, floor = up[-1], _HEIGHT - _BOTTOM
    x = lambda value: _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)  # noqa: E731
    y = lambda share: floor - share / top * (floor - _TOP)  # noqa: E731
    digits = 0 if up[1] >= 0.01 else 1
    body = [_line(_LEFT, y(v), _WIDTH - _RIGHT, y(v), _FAINT) for v in up]
    body += [_text(_LEFT - 6, y(v) + 4, f"{v:.{digits}%}", "end") for v in up]
    body += [_text(x(v), floor + 16, f"{v:g}") for v in across]
    body += [_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, x_label)]
    body += [_upright(14, (_TOP + floor) / 2, "share of the pictures")]
    edges = np.linspace(low, high, bins + 1)
    for (name, each), colour, place in zip(
        shares.items(), (_MAIN, _SECOND), (_LEFT, (_LEFT + _WIDTH) / 2), strict=False
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
        body.append(_text(place + 15, 36, label, "start", colour))
    body.append(_line(_LEFT, floor, _WIDTH - _RIGHT, floor, _INK))
    return _frame(title, body)


def intervals(title: str, x_label: str, estimates: Mapping[str, Estimate]) -> str:
    """Means with their intervals, a line each, on an axis that holds 0 and all of them."""
    known = {name: e for name, e in estimates.items() if e.num_images}
    if not known:
        return ""
    top, left, right = 26, 130, 58
    height = top + _BOTTOM + 18 * len(known) + 4
    ends = [0.0, *(e.low for e in known.values()), *(e.high for e in known.values())]
    across = ticks(min(ends), max(ends) if max(ends) > min(ends) else min(ends) + 1)
    low, high = across[0], across[-1]
    x = lambda value: left + (value - low) / (high - low) * (_WIDTH - left - right)  # noqa: E731
    floor = height - _BOTTOM
    body = [_line(x(v), top, x(v), floor, _FAINT) for v in across]
    body += [_text(x(v), floor + 16, f"{v:g}") for v in across]
    body += [_text((left + _WIDTH - right) / 2, height - 8, x_label)]
    for row, (name, estimate) in enumerate(known.items()):
        y = top + 18 * row + 12
        body.append(_text(left - 8, y + 4, name, "end"))
        body.append(_line(x(estimate.low), y, x(estimate.high), y, _MAIN, 3))
        body.append(f'<circle cx="{x(estimate.mean):.1f}" cy="{y}" r="4" fill="{_MAIN}"/>')
        body.append(_text(_WIDTH - right + 14, y + 4, f"{estimate.mean:.3f}", "start"))
    return _frame(title, body, height)


def scatter(title: str, x_label: str, y_label: str, x: np.ndarray, y: np.ndarray) -> str:
    """One number against another of each picture, both on a logarithmic axis from 1 on.

    Of more than 3,000 pictures every so many-th is drawn, and the title says so.
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
    floor = _HEIGHT - _BOTTOM
    across = lambda v: _LEFT + math.log10(max(v, 1)) / top * (_WIDTH - _LEFT - _RIGHT)  # noqa: E731
    up = lambda v: floor - math.log10(max(v, 1)) / top * (floor - 28)  # noqa: E731
    body = []
    for value in labels:
        body.append(_line(_LEFT, up(value), _WIDTH - _RIGHT, up(value), _FAINT))
        body.append(_line(across(value), floor, across(value), up(10**top), _FAINT))
        body.append(_text(across(value), floor + 16, f"{value:,}"))
        body.append(_text(_LEFT - 6, up(value) + 4, f"{value:,}", "end"))
    body.append(_line(across(1), up(1), across(10**top), up(10**top), _INK))
    for a, b in zip(x[::step], y[::step], strict=True):
        body.append(
            f'<circle cx="{across(a):.1f}" cy="{up(b):.1f}" r="2.5" fill="{_MAIN}" '
            'fill-opacity=".4"/>'
        )
    body.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, x_label))
    body.append(_upright(14, (floor + 28) / 2, y_label))
    shown = f" ({len(x[::step]):,} of {len(x):,} pictures)" if step > 1 else ""
    return _frame(title + shown, body)
