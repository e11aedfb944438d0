"""Reports as text for the terminal."""

from bitdiff_jax.compile.accelerators import find
from bitdiff_jax.compile.compiled_figures import Report
from bitdiff_jax.compile.fit import Fit
from bitdiff_jax.tools.xla_cost.breakdown import Breakdown
from bitdiff_jax.tools.xla_cost.operations import Cost

_TITLES = {"train": "training step", "sample": "sampler, one map of each image"}


def render(report: Report) -> str:
    """A table of one program's numbers."""
    measured, total = report.measured, report.costs
    accelerator = find(measured.accelerator)
    known = f", known from {measured.date}" if measured.cached else ""
    compiler = " ".join(f"{name} {version}" for name, version in measured.versions.items())
    rows = [
        ("machine", f"{accelerator.name}: {report.devices} x {report.chip}, "
                    f"{accelerator.hosts} host{'s' * (accelerator.hosts > 1)}"),
        ("images", f"{measured.per_device} a device, {measured.batch_size} in all, {report.dtype}"),
        ("parameters", f"{report.parameters:,}"),
        ("memory", f"{amount(report.needed, 'B')} of {amount(report.usable, 'B')} that a program "
                   f"may use{'' if report.fits else ': does not fit'}"),
    ]  # fmt: skip
    if measured.memory:
        parts = ", ".join(
            f"{name} {amount(measured.memory[name], 'B')}"
            for name in ("arguments", "temporaries", "code")
        )
        rows.append(("", parts))
    rows.append(("model FLOPs", f"{amount(report.model_flops, 'FLOP')}, analytic"))
    if measured.xla and total:
        rows.append(
            ("XLA's count", f"{amount(measured.xla['flops'], 'FLOP')}, "
             f"{amount(measured.xla['bytes'], 'B')}, loops run once")
        )  # fmt: skip
    if total:
        rows += [
            ("compiled", f"{amount(total.flops, 'FLOP')} in convolutions and products, "
                         f"{amount(total.bytes, 'B')}, of these {amount(total.hbm_bytes, 'B')} in "
                         "main memory, loops times their trips"),
            ("loops", _loops(total.loops)),
            ("collectives", ", ".join(
                f"{n} {kind} of {amount(size, 'B')}"
                for kind, (n, size) in sorted(total.collectives.items())) or "none"),
        ]  # fmt: skip
    if total and report.predicted_seconds and report.utilisation:
        rows.append(
            ("prediction", f"{duration(report.predicted_seconds)}, {total.cycles:,.0f} cycles by "
             f"the compiler's estimate ({total.estimated:,} of {total.operations:,} operations "
             f"have one; collectives and copies have none); {report.utilisation:.0%} utilisation")
        )  # fmt: skip
    if report.peak_seconds:
        least = f"{duration(report.peak_seconds)}, each operation at the chip's peak of arithmetic"
        rows.append(("at the peaks", f"{least} or memory"))
    spent = f"{measured.compile_seconds:.0f} s, {measured.compile_cpu_seconds:.0f} s of CPU{known}"
    rows.append(("compilation", f"{spent}; {compiler}"))
    lines = [f"{_TITLES[measured.program]}"]
    lines += [f"  {name:13s}{value}" for name, value in rows]
    return "\n".join(lines)


def batch_note(report: Report) -> str:
    """What another global batch than the config's means; '' if it is the config's."""
    batch = report.measured.batch_size
    if report.measured.program != "train" or batch == report.config_batch:
        return ""
    return (
        f"note: {batch} images a step, where the config has {report.config_batch}; the learning "
        f"rate stays {report.learning_rate:g} and the number of steps too: whether to change them "
        "is for you to say, with --config.optimizer.learning_rate and --config.train.num_steps"
    )


def render_fit(fit: Fit, reports: dict[int, Report]) -> str:
    """The largest batch, and what an image costs at each that was compiled.

    Args:
        fit: result of the search.
        reports: reports by images per device, of the programs compiled for the search and others.
    """
    any_report = next(iter(reports.values()))
    usable = amount(any_report.usable, "B")
    lines = [
        "largest batch",
        f"  memory        {amount(fit.line.fixed, 'B')} + {amount(fit.line.image, 'B')} an image "
        f"(line through {' and '.join(str(b) for b in list(fit.compiled)[:2])} images a device)",
        f"  fits          {fit.largest} images a device, compiled to be sure, in {usable}"
        if fit.largest
        else f"  fits          none of those compiled, in {usable}",
    ]
    timed = {b: r for b, r in sorted(reports.items()) if r.predicted_seconds and r.fits}
    if timed:
        lines.append("  images a device   memory      predicted step   images/s/device")
        lines += [
            f"  {batch:15d}   {amount(r.needed, 'B'):9s}   {duration(r.predicted_seconds or 0):14s}"
            f"   {batch / (r.predicted_seconds or 1):.1f}"
            for batch, r in timed.items()
        ]
    return "\n".join(lines)


def render_breakdown(found: Breakdown) -> str:
    """Tables by place, phase and kind, and the dearest operations."""
    total = found.grouped(lambda part: "all").get("all", Cost())
    whole = found.time(total) or 1
    time = "cycles" if found.by_cycles else "at the peaks"

    def cells(cost: Cost) -> str:
        spent = f"{cost.cycles:,}" if found.by_cycles else duration(cost.seconds)
        moved = cost.hbm_bytes / (total.hbm_bytes or 1)
        row = f"{spent:>15s} {found.time(cost) / whole:6.1%}"
        row += f" {amount(cost.hbm_bytes, 'B'):>9s} {moved:6.1%}"
        row += f" {amount(cost.flops, 'FLOP'):>11s} {cost.operations:>10,}"
        return row + (f" {duration(cost.seconds):>12s}" if found.by_cycles else "")

    heading = f"{time:>15s}  share main mem.  share       FLOPs operations"
    heading += "  at the peaks" if found.by_cycles else ""
    lines = []
    for title, key in (
        ("by place", lambda part: part.place),
        ("by phase", lambda part: part.phase),
        ("by kind", lambda part: part.kind),
    ):
        lines.append(f"{title:28s}{heading}")
        rows = {**found.grouped(key), "all": total}
        lines += [f"  {name:26s}{cells(cost)}" for name, cost in rows.items()]
    if found.dearest:
        lines.append("the dearest operations")
    for number, each in enumerate(found.dearest, 1):
        lines.append(f"  {number:3d} {each.name}: {each.kind}, {each.place}")
        lines.append(f"{'':28s}{cells(each.cost)}")
        lines += [f"      {line}" for line in (each.op_name, each.shapes) if line]
    return "\n".join(lines)


def amount(value: float, unit: str) -> str:
    """'1.5 GiB' for bytes, '202 GFLOP' for FLOPs: three digits."""
    base, names = (1024, ("", "Ki", "Mi", "Gi", "Ti", "Pi")) if unit == "B" else (
        1000, ("", "k", "M", "G", "T", "P", "E")
    )  # fmt: skip
    step = 0
    while abs(value) >= 999.5 and step < len(names) - 1:
        value /= base
        step += 1
    digits = max(0, 2 - len(str(int(abs(value)))) + 1) if step else 0
    return f"{value:.{digits}f} {names[step]}{unit}"


def duration(seconds: float) -> str:
    """'12.3 ms' or '1.23 s'."""
    for scale, name in ((1, "s"), (1e-3, "ms")):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {name}"
    return f"{seconds / 1e-6:.3g} us"


def _loops(loops: list[tuple[str, int | None]]) -> str:
    if not loops:
        return "none"
    known = [str(trips) for _, trips in loops if trips is not None]
    unknown = sum(trips is None for _, trips in loops)
    parts = [f"{len(known)} of {', '.join(known)} trips"] if known else []
    if unknown:
        parts.append(f"{unknown} of an unknown number, counted once")
    return "; ".join(parts)
