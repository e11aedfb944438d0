"""The section of `benchmarks.predicted.growth` in docs/performance.md, and its plots."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping

from benchmarks.predicted import curves
from benchmarks.predicted.compiled import Row, Table, time_of
from bitdiff_jax.compile import compiled_figures, text
from bitdiff_jax.tools.xla_cost import attribution

LARGE_SHARE = 1 / 3  # of attention, worth to be told


@dataclasses.dataclass(frozen=True)
class Series:
    """What is compiled to see one thing grow.

    Attributes:
        title: of the plot.
        grows: what the numbers are.
        rows: number -> program.
    """

    title: str
    grows: str
    rows: dict[int, Row]


Found = dict[int, compiled_figures.Report]
Value = Callable[[compiled_figures.Report], float | None]


def seconds_an_image(each: compiled_figures.Report) -> float | None:
    seconds = time_of(each)
    return seconds / each.measured.per_device if seconds else None


def bytes_an_image(each: compiled_figures.Report) -> float | None:
    return each.costs.hbm_bytes / each.measured.per_device if each.costs else None


def carried(each: compiled_figures.Report) -> float | None:
    """Bytes that a device hands to collectives."""
    if each.costs is None:
        return None
    return float(sum(size for _, size in each.costs.collectives.values()))


def in_bytes(value: float) -> str:
    return text.amount(value, "B")


def plot(name: str, series: Series, table: Table) -> str:
    """The SVG of a series; '' if nothing of it is known."""
    found = known(series, table)
    if name == "devices":
        panels = [
            panel("bytes handed to collectives, a device and step", found, carried, in_bytes),
            panel("time of a step, collectives left out", found, time_of, text.duration),
        ]
    else:
        wide = name in ("resolution", "steps")
        of = "a map" if next(iter(series.rows.values())).program == "sample" else "an image"
        panels = [
            panel(f"time of {of}", found, seconds_an_image, text.duration, wide),
            panel(f"bytes of main memory of {of}", found, bytes_an_image, in_bytes, wide),
        ]
    return curves.draw(series.title, series.grows, panels)


def panel(
    label: str, found: Found, value: Value, written: Callable[[float], str], wide: bool = False
) -> curves.Panel:
    points = [(float(n), value(each) if each.fits else None) for n, each in found.items()]
    return curves.Panel(label, {"": points}, written, wide, binary=written is in_bytes)


def known(series: Series, table: Table) -> Found:
    """The programs of a series that were compiled, by number."""
    found = {number: table.get(row) for number, row in series.rows.items()}
    return {number: each for number, each in found.items() if each is not None}


def attention_shares(series: Series, table: Table) -> dict[int, tuple[float | None, float | None]]:
    """Number -> attention's shares of time and of main memory; None of what does not fit."""
    shares: dict[int, tuple[float | None, float | None]] = {}
    for number, row in series.rows.items():
        if row.name not in table.rows:
            continue
        kinds = table.rows[row.name]["kinds"]
        # Cycles where the compiler estimates them, or seconds at the peaks.
        time = "cycles" if any(each["cycles"] for each in kinds.values()) else "seconds"
        attended = kinds.get(attribution.ATTENTION, {})
        shares[number] = (
            _share(attended, kinds, time),
            _share(attended, kinds, "hbm_bytes"),
        )
    return shares


def _share(
    part: Mapping[str, float], kinds: Mapping[str, Mapping[str, float]], figure: str
) -> float | None:
    whole = sum(each[figure] for each in kinds.values())
    return part.get(figure, 0) / whole if whole else None


def attention_plot(series: Series, table: Table) -> str:
    """The SVG of attention's shares by resolution."""
    shares = attention_shares(series, table)
    lines = {
        name: [(float(number), share[index]) for number, share in shares.items()]
        for index, name in enumerate(("time", "bytes"))
    }
    whole = curves.Panel("attention's share of a training step", lines, "{:.0%}".format)
    return curves.draw("attention by resolution", "pixels a side", [whole])


def section(
    config: str,
    family: str,
    all_series: Mapping[str, Series],
    table: Table,
    docs: pathlib.Path,
) -> str:
    """The page's section, its plots written beside the page."""
    command = (
        f"    python -m benchmarks.predicted.growth --config {config} --family {family} --series"
    )
    parts = [
        f"## How cost grows\n\nThe network of `{config}` in bfloat16, compiled for {family} by "
        "`bitdiff compile`'s means; nothing ran. Time is the compiler's prediction, or that at the "
        "peaks where there is none; a cross is what does not fit into memory."
    ]
    for name, series in all_series.items():
        drawn = plot(name, series, table)
        if not drawn:
            continue
        parts.append(_imaged(docs, f"growth_{name}.svg", series.title, drawn))
        parts.append(f"{command} {name}")
        parts.append(_numbers(name, series, table))
        if name == "resolution" and (shares := attention_plot(series, table)):
            parts.append(_imaged(docs, "growth_attention.svg", "attention", shares))
            parts.append(_attention_reading(attention_shares(series, table)))
    return "\n\n".join(parts)


def _imaged(docs: pathlib.Path, file: str, title: str, drawn: str) -> str:
    (docs / file).write_text(drawn + "\n")
    return f"![{title}]({file})"


def _numbers(name: str, series: Series, table: Table) -> str:
    found = known(series, table)
    of = "a map" if next(iter(series.rows.values())).program == "sample" else "an image"
    lines = [
        f"| {series.grows} | time of {of} | main memory of {of} | memory a device needs | "
        "handed to collectives |",
        "|---|---|---|---|---|",
    ]
    for number, each in found.items():
        seconds, moved, sums = (f(each) for f in (seconds_an_image, bytes_an_image, carried))
        cells = [
            str(number),
            text.duration(seconds) if seconds else "-",
            in_bytes(moved) if moved else "-",
            in_bytes(each.needed) + ("" if each.fits else ": does not fit"),
            in_bytes(sums) if sums else "-",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _attention_reading(shares: dict[int, tuple[float | None, float | None]]) -> str:
    said = []
    for index, name in enumerate(("time", "bytes of main memory")):
        large = [n for n, share in shares.items() if (share[index] or 0) > LARGE_SHARE]
        where = f"from {min(large)} pixels a side" if large else "at none of these resolutions"
        said.append(f"more than a third of the {name} {where}")
    cells = [
        f"{number}: {time:.0%} and {moved:.0%}"
        for number, (time, moved) in shares.items()
        if time is not None and moved is not None
    ]
    return (
        "Attention (logits, softmax, weighted sums and the copies between them, forward and "
        f"backward) takes {' and '.join(said)}. Its shares of time and bytes by side: "
        f"{', '.join(cells)}."
    )
