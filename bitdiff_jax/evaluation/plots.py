"""Plots as SVG text, for pages that must stand alone: no script, no font, nothing to fetch."""

import html
import math
from collections.abc import Mapping, Sequence

import numpy as np

from bitdiff_jax.evaluation.tables import Estimate

_WIDTH, _HEIGHT = 460, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 26, 34
_INK, _FAINT, _MAIN, _SECOND = "#222", "#ccc", "#2563a8", "#c0562f"


def _frame(title: str, body: Sequence[str], height: int = _HEIGHT) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'width="{_WIDTH}" height="{height}" font-family="sans-serif" font-size="11">'
        f"<title>{html.escape(title)}</title>"
        f'<text x="{_LEFT}" y="16" font-weight="bold" fill="{_INK}">{html.escape(title)}</text>'
        + "".join(body)
        + "</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{_INK}">'
        f"{html.escape(text)}</text>"
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{width}"/>'
    )


def histogram(title: str, series: Mapping[str, np.ndarray], *, bins: int = 25) -> str:
    """Shares of the pictures by value, one outline a series (two at most), on [min, max] of all.

    Args:
        title: above the plot.
        series: name -> float [n]; what is not finite is left out.
        bins: number of them.
    """
    known = {name: v[np.isfinite(v)] for name, v in series.items()}
    known = {name: v for name, v in known.items() if len(v)}
    if not known:
        return _frame(title, [_text(_WIDTH / 2, _HEIGHT / 2, "nothing to show")])
    low = min(0.0, *(float(v.min()) for v in known.values()))
    high = max(1.0, *(float(v.max()) for v in known.values()))
    shares = {n: np.histogram(v, bins, (low, high))[0] / len(v) for n, v in known.items()}
    top = max(float(s.max()) for s in shares.values())
    x = lambda value: _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)  # noqa: E731
    y = lambda share: _HEIGHT - _BOTTOM - share / top * (_HEIGHT - _TOP - _BOTTOM)  # noqa: E731
    body = [_text(x(v), _HEIGHT - 18, f"{v:.2g}") for v in np.linspace(low, high, 6)]
    body += [_line(_LEFT, y(0), _WIDTH - _RIGHT, y(0), _INK)]
    body += [_text(_LEFT - 4, y(top) + 4, f"{top:.0%}", "end"), _text(_LEFT - 4, y(0), "0", "end")]
    for (name, each), colour, place in zip(
        shares.items(), (_MAIN, _SECOND), (0.28, 0.72), strict=False
    ):
        edges = np.linspace(low, high, bins + 1)
        points = [f"{x(low):.1f},{y(0):.1f}"]
        for share, start, end in zip(each, edges[:-1], edges[1:], strict=True):
            points += [f"{x(start):.1f},{y(share):.1f}", f"{x(end):.1f},{y(share):.1f}"]
        points.append(f"{x(high):.1f},{y(0):.1f}")
        body.append(
            f'<polygon points="{" ".join(points)}" fill="{colour}" fill-opacity=".25" '
            f'stroke="{colour}"/>'
        )
        label = f"{name}: mean {known[name].mean():.3f}"
        body.append(
            f'<text x="{_WIDTH * place:.0f}" y="{_HEIGHT - 4}" text-anchor="middle" '
            f'fill="{colour}">{html.escape(label)}</text>'
        )
    return _frame(title, body)


def intervals(title: str, estimates: Mapping[str, Estimate]) -> str:
    """Means with their intervals, a line each, on an axis that holds 0 and all of them."""
    known = {name: e for name, e in estimates.items() if e.num_images}
    height = _TOP + _BOTTOM + 20 * max(1, len(known))
    ends = [0.0, *(e.low for e in known.values()), *(e.high for e in known.values())]
    low, high = min(ends), max(ends)
    high = high if high > low else low + 1
    left = 150
    x = lambda value: left + (value - low) / (high - low) * (_WIDTH - left - 60)  # noqa: E731
    body = [_line(x(0), _TOP, x(0), height - _BOTTOM, _FAINT)]
    body += [_text(x(v), height - 14, f"{v:.2g}") for v in np.linspace(low, high, 5)]
    for row, (name, estimate) in enumerate(known.items()):
        y = _TOP + 20 * row + 12
        body.append(_text(left - 8, y + 4, name, "end"))
        body.append(_line(x(estimate.low), y, x(estimate.high), y, _MAIN, 3))
        body.append(f'<circle cx="{x(estimate.mean):.1f}" cy="{y}" r="4" fill="{_MAIN}"/>')
        body.append(_text(x(estimate.high) + 6, y + 4, f"{estimate.mean:.3f}", "start"))
    return _frame(title, body, height)


def scatter(title: str, x_label: str, y_label: str, x: np.ndarray, y: np.ndarray) -> str:
    """One number against another of each picture, both on a logarithmic axis from 1 on.

    Of more than 3,000 pictures every so many-th is drawn.
    """
    keep = np.isfinite(x) & np.isfinite(y)
    x, y = x[keep], y[keep]
    if not len(x):
        return _frame(title, [_text(_WIDTH / 2, _HEIGHT / 2, "nothing to show")])
    step = -(-len(x) // 3000)
    top = math.log10(max(float(x.max()), float(y.max()), 10.0))
    across = lambda v: _LEFT + math.log10(max(v, 1)) / top * (_WIDTH - _LEFT - _RIGHT)  # noqa: E731
    up = lambda v: (  # noqa: E731
        _HEIGHT - _BOTTOM - math.log10(max(v, 1)) / top * (_HEIGHT - _TOP - _BOTTOM)
    )
    body = [_line(across(1), up(1), across(10**top), up(10**top), _FAINT)]
    for power in range(int(top) + 1):
        value = 10**power
        body.append(_text(across(value), _HEIGHT - 20, str(value)))
        body.append(_text(_LEFT - 4, up(value) + 4, str(value), "end"))
    for a, b in zip(x[::step], y[::step], strict=True):
        body.append(
            f'<circle cx="{across(a):.1f}" cy="{up(b):.1f}" r="2.5" fill="{_MAIN}" '
            'fill-opacity=".5"/>'
        )
    body.append(_text(_WIDTH / 2, _HEIGHT - 4, x_label))
    body.append(_text(_LEFT + 4, _TOP + 10, y_label, "start"))
    return _frame(title, body)
