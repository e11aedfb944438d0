"""Curves side by side in one SVG file: how figures grow with a number that doubles."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from bitdiff_jax.evaluation.report import svg

_COLOURS = (svg.MAIN, svg.SECOND, "#3a7d44", "#7b4fa3")
_PANEL = svg.WIDTH - 90


@dataclasses.dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        label: what stands on the vertical axis.
        curves: name -> points (x, y), y None for what does not fit.
        written: a value of y as text.
        logarithmic: vertically; if not, the axis begins at `start`. Horizontally it always is.
        binary: whether round numbers are those of KiB, MiB, ...
        start: lower end of an axis that is not logarithmic.
        legend: where the names of the curves stand: away from the curves.
    """

    label: str
    curves: Mapping[str, Sequence[tuple[float, float | None]]]
    written: Callable[[float], str]
    logarithmic: bool = False
    binary: bool = False
    start: float = 0.0
    legend: Literal["top", "bottom"] = "top"


def draw(title: str, x_label: str, panels: Sequence[Panel]) -> str:
    """The panels from left to right; '' if there is not one point to show."""
    if not any(y is not None for p in panels for points in p.curves.values() for _, y in points):
        return ""
    body: list[str] = []
    for number, panel in enumerate(panels):
        body += _panel(panel, x_label, number * _PANEL)
    width = _PANEL * len(panels) + svg.RIGHT
    return svg.frame(title, body, width=width, background="#fff")


def _panel(panel: Panel, x_label: str, offset: int) -> list[str]:
    points = [point for curve in panel.curves.values() for point in curve]
    marks = sorted({x for x, _ in points})
    left, right = offset + svg.LEFT + 14, offset + _PANEL - 12
    top, floor = svg.TOP + 14, svg.HEIGHT - svg.BOTTOM
    spread = math.log2(marks[-1] / marks[0]) or 1
    across = lambda x: left + 8 + math.log2(x / marks[0]) / spread * (right - left - 16)  # noqa: E731
    values = [y for _, y in points if y is not None] or [1.0]
    ticks, up = _axis(values, floor, top, panel)

    body = [svg.text(offset + 12, 36, panel.label, "start")]
    for value in ticks:
        body.append(svg.line(left, up(value), right, up(value), svg.FAINT))
        body.append(svg.text(left - 6, up(value) + 4, panel.written(value), "end"))
    body += [svg.text(across(x), floor + 16, f"{x:g}") for x in marks]
    body.append(svg.text((left + right) / 2, svg.HEIGHT - 8, x_label))
    body.append(svg.line(left, floor, right, floor, svg.INK))
    named = zip(panel.curves.items(), _COLOURS, strict=False)
    for number, ((name, curve), colour) in enumerate(named):
        fitting = [(across(x), up(y)) for x, y in curve if y is not None]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in fitting)
        body.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in fitting]
        if name and fitting:
            row = top + 16 if panel.legend == "top" else floor - 6 - 15 * (len(panel.curves) - 1)
            body.append(svg.text(left + 8, row + 15 * number, name, "start", colour))
    for x in sorted({x for x, y in points if y is None}):
        body += _cross(across(x), top + 8)
    return body


def _axis(
    values: Sequence[float], floor: float, top: float, panel: Panel
) -> tuple[list[float], Callable[[float], float]]:
    """Marks, and the height of a value in pixels."""
    most, least = max(values), min(values)
    if panel.logarithmic and least > 0:
        base = 16.0 if panel.binary else 10.0
        low = math.floor(math.log(least, base) + 1e-9)
        high = max(math.ceil(math.log(most, base) - 1e-9), low + 1)
        ticks = [base**power for power in range(low, high + 1)]
        return ticks, lambda v: floor - (math.log(v, base) - low) / (high - low) * (floor - top)
    unit = 1024.0 ** math.floor(math.log(most, 1024)) if panel.binary and most else 1.0
    ticks = [unit * tick for tick in svg.ticks(panel.start / unit, (most or 1) / unit, 4)]
    return ticks, lambda v: floor - (v - ticks[0]) / (ticks[-1] - ticks[0]) * (floor - top)


def _cross(x: float, y: float) -> list[str]:
    arms = [svg.line(x - 5, y - 5, x + 5, y + 5, svg.SECOND, 2)]
    arms.append(svg.line(x - 5, y + 5, x + 5, y - 5, svg.SECOND, 2))
    return [*arms, svg.text(x + 5, y - 10, "does not fit", "end", svg.SECOND)]
