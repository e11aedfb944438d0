"""The pieces of plots as SVG text: no script, no font, nothing to fetch. Lengths are pixels."""

import html
import math
from collections.abc import Sequence

WIDTH, HEIGHT = 470, 270
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 48, 42
INK, FAINT, MAIN, SECOND = "#222", "#ddd", "#2563a8", "#c0562f"


def frame(
    title: str,
    body: Sequence[str],
    height: int = HEIGHT,
    *,
    width: int = WIDTH,
    background: str = "",
) -> str:
    """A whole SVG image.

    Args:
        title: title above the plot, which is also its text alternative.
        body: SVG elements of the image.
        height: height in pixels.
        width: width in pixels.
        background: colour of the background, for an image in a file of its own.
    """
    filled = f'<rect width="{width}" height="{height}" fill="{background}"/>' if background else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="12">'
        f"<title>{html.escape(title)}</title>{filled}"
        f'<text x="12" y="17" font-weight="bold" fill="{INK}">{html.escape(title)}</text>'
        + "".join(body)
        + "</svg>"
    )


def text(x: float, y: float, text: str, anchor: str = "middle", colour: str = INK) -> str:
    """A line of text; `anchor` is start, middle or end."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">'
        f"{html.escape(text)}</text>"
    )


def upright(x: float, y: float, text: str) -> str:
    """A line of text from below to above, centred."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" fill="{INK}" '
        f'transform="rotate(-90 {x:.1f} {y:.1f})">{html.escape(text)}</text>'
    )


def line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    """A straight line."""
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
