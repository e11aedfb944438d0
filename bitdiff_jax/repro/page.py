"""docs/ledger.md from the rows beside it: every number on the page is computed here."""

import math
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from bitdiff_jax import config as config_lib
from bitdiff_jax import extensions, files
from bitdiff_jax.evaluation.report import plots
from bitdiff_jax.evaluation.statistics.estimates import Estimate, bootstrap
from bitdiff_jax.repro import catalogue, defaults, ledger, verdicts
from bitdiff_jax.repro.claims import Claim
from bitdiff_jax.repro.ledger import Record
from bitdiff_jax.repro.verdicts import Judged

ROWS_FOLDER = "ledger"
_GROUPS = {
    "controls": "Controls: is it diffusion that does it?",
    "tables": "The tables of the paper",
    "figures": "The figures of the paper",
    "settings": "Single settings",
    "systems": "Other systems that the paper names",
}
_HEAD = """\
# The ledger: what the paper claims, and what comes out here

Each claim of [arXiv 2601.02881](https://arxiv.org/abs/2601.02881) as one command, with a verdict.
This page is written by a program:

    bitdiff repro all --scale proxy --seeds 3 --out repro
    bitdiff repro page --out repro --to docs/ledger.md

**What is measured** is a proxy: procedural scenes of level 2 at 32 x 32 and a network of about a
million parameters, {steps} steps of 32 images (configs/repro.py), scored on 300 held-out scenes
with one sample each, as drawn, against all true regions. A verdict is about this proxy; at full
size the answer may be another. `--scale full` prints the commands for accelerators.

**How it is decided.** Of each scene the difference of two arms is averaged over seeds. The exact
sign test over scenes has to give p < .05 after Holm's correction within the claim, all seeds have
to agree in the sign, and of two trainings there have to be two seeds at least. *Holds* and *does
not hold* need all that; everything else is *undecided*. A claim that asks for several comparisons
holds if all of them do, and does not hold as soon as one of them does not.

The rows are in [ledger/](ledger/), a file for each training: of every scene ARI and IoU in
thousandths, of the other metrics the means. Trainings that claims share are counted in the hours of
each of them; all together took {hours} processor hours.
"""


def write(to: pathlib.Path, out: pathlib.Path | None) -> list[pathlib.Path]:
    """Writes the page, and what it shows.

    Args:
        to: the page's file. Rows and plots lie in the folder 'ledger' beside it.
        out: folder of runs whose rows are taken up first; None for the rows that are there.

    Returns:
        The files that were written.

    Raises:
        InputError: the files cannot be read or written.
    """
    folder = to.parent / ROWS_FOLDER
    claims = list(catalogue.CLAIMS.values())
    if out is not None:
        ledger.write(ledger.gather(claims, out), folder)
    records = ledger.read(folder)
    written = [to]
    files.make_folder(to.parent, "--to")
    for claim in claims:
        if plot := _plot(claim, records):
            path = folder / f"{claim.name}.svg"
            files.write(path, plot.encode())
            written.append(path)
    files.write(to, text(claims, records).encode())
    return written


def text(claims: Sequence[Claim], records: Sequence[Record]) -> str:
    """The page, from the rows.

    Args:
        claims: in the order of the page.
        records: all rows.
    """
    values = ledger.values(records)
    judged = [verdicts.judge(claim, values) for claim in claims]
    steps = f"{config_lib.load('repro').train.num_steps:,}"
    lines = [_HEAD.format(hours=_hours(records), steps=steps)]
    lines += _summary(judged, records)
    for group, title in _GROUPS.items():
        of_group = [each for each in judged if each.claim.group == group]
        lines += [f"## {title}", ""] if of_group else []
        for each in of_group:
            lines += _section(each, records)
    lines += _defaults(judged)
    return "\n".join(lines).rstrip() + "\n"


def _summary(judged: Sequence[Judged], records: Sequence[Record]) -> list[str]:
    rows = [("claim", "verdict", "seeds", "processor hours")]
    for each in judged:
        of_claim = _of(each.claim, records)
        seeds = {record.seed for record in of_claim}
        link = f"[{each.claim.title}](#{_anchor(each.claim.title)})"
        rows.append((link, each.verdict, str(len(seeds)), _hours(of_claim)))
    return [*table(rows), ""]


def _defaults(judged: Sequence[Judged]) -> list[str]:
    """Which row decided each default; of the claims that are on the page."""
    shown = {each.claim.name: each for each in judged}
    rows = [("setting", *(f"`{name}`" for name in defaults.CONFIGS), "decided by", "verdict")]
    for key, values, row in defaults.values():
        if row in shown:
            title = shown[row].claim.title
            link, verdict = f"[{title}](#{_anchor(title)})", shown[row].verdict
        elif row.endswith(".md"):
            link, verdict = f"[{row}]({row}), on photographs", ""
        else:
            continue
        rows.append((f"`{key}`", *map(str, values), link, verdict))
    return ["## Defaults, and the rows that decide them", "", *table(rows), ""]


def _section(judged: Judged, records: Sequence[Record]) -> list[str]:
    claim = judged.claim
    lines = [f"### {claim.title}", "", f"*The paper:* {claim.says}", ""]
    if claim.tested:
        lines += [f"*Here:* {claim.tested}", ""]
    why = claim.not_testable or claim.not_run
    lines += [f"**{judged.verdict}**{f': {why}' if why else ''}", ""]
    if claim.computed:
        lines += [*table(extensions.resolve(claim.computed, "computed")()), ""]
    of_claim = _of(claim, records)
    if of_claim:
        lines += [*_arms(claim, of_claim), ""]
        several = _several(of_claim)
        lines += [*several, ""] if several else []
    if any(each.seeds for each in judged.comparisons):
        lines += [*_comparisons(judged), ""]
    if claim.plot and of_claim:
        lines += [f"![{claim.title}]({ROWS_FOLDER}/{claim.name}.svg)", ""]
    lines += [f"    bitdiff repro {claim.name} --scale proxy --seeds 3 --out repro", ""]
    return lines


def _arms(claim: Claim, records: Sequence[Record]) -> list[str]:
    rows: list[tuple[str, ...]] = [
        ("arm", "seeds", "ARI", "IoU", "PQ", "regions", "orphans", "ms a scene", "parameters")
    ]
    for name, arm in claim.arms.items():
        own = [record for record in records if record.evaluation == arm.key]
        failed = [record.failed for record in own if record.failed]
        own = [record for record in own if not record.failed]
        if failed:
            rows.append((name, str(len(failed)), failed[0], *[""] * 6))
        if not own:
            continue
        means = {key: float(np.mean([r.means[key] for r in own])) for key in own[0].means}
        rows.append(
            (
                name, str(len(own)), _estimate(own, "ari"), _estimate(own, "iou"),
                _short(means["pq"]), f"{means['regions']:.1f}", f"{means['orphans']:.1%}",
                f"{1000 * means['seconds']:.0f}",
                f"{own[0].num_parameters:,}" if own[0].num_parameters else "",
            )
        )  # fmt: skip
    return table(rows)


def _several(records: Sequence[Record]) -> list[str]:
    """Read-outs of several samples; nothing where there is one of each scene."""
    names = {"ari": "one sample", "ari_best": "best", "ari_medoid": "medoid"}
    names["ari_consensus"] = "consensus"
    own = [record for record in records if "ari_best" in record.scenes]
    if not own:
        return []
    return table([("read-out", "ARI"), *((names[key], _estimate(own, key)) for key in names)])


def _comparisons(judged: Judged) -> list[str]:
    rows = [("should be better", "difference (95 %)", "p", "of each seed", "")]
    for each in judged.comparisons:
        e = each.difference
        shown = f"{_short(e.mean, '+')} ({_short(e.low, '+')} to {_short(e.high, '+')})"
        p = "< .0001" if each.p < 1e-4 else _short(each.p, digits=4)
        seeds = ", ".join(_short(value, "+") for value in each.seeds)
        rows.append(
            (str(each.comparison), shown, p, seeds, each.verdict)
            if each.seeds
            else (str(each.comparison), "", "", "", each.verdict)
        )
    return table(rows)


def _plot(claim: Claim, records: Sequence[Record]) -> str:
    if not claim.plot:
        return ""
    estimates: dict[str, Estimate] = {}
    for name, arm in claim.arms.items():
        own = [r for r in records if r.evaluation == arm.key and not r.failed]
        if own:
            estimates[name] = bootstrap(_of_scenes(own, claim.plot))
    label = f"{claim.plot.upper()} on held-out scenes, 95 % over scenes"
    return plots.intervals(claim.title, label, estimates, background="#fff")


def _of(claim: Claim, records: Iterable[Record]) -> list[Record]:
    keys = {arm.key for arm in claim.arms.values()}
    return [record for record in records if record.evaluation in keys]


def _of_scenes(records: Sequence[Record], metric: str) -> np.ndarray:
    """Means over seeds of each scene's value."""
    values = [[math.nan if v is None else v for v in r.scenes[metric]] for r in records]
    shortest = min(map(len, values))
    return np.mean([each[:shortest] for each in values], axis=0) / 1000


def _estimate(records: Sequence[Record], metric: str) -> str:
    found = bootstrap(_of_scenes(records, metric))
    return f"{_short(found.mean)} ({_short(found.low)} to {_short(found.high)})"


def _hours(records: Iterable[Record]) -> str:
    """Processor hours; a training is counted once, however many evaluations it has."""
    trained = {(r.training, r.seed): r.seconds["train"] for r in records}
    drawn = {(r.evaluation, r.seed): r.seconds["draw"] for r in records}
    return f"{(sum(trained.values()) + sum(drawn.values())) / 3600:.1f}"


def _short(value: float, sign: str = "", digits: int = 3) -> str:
    """'.123', '-.123' or, with sign '+', '+.123'."""
    return f"{value:{sign}.{digits}f}".replace("0.", ".", 1) if math.isfinite(value) else "-"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows, the first of them the head, as lines of Markdown."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return [f"| {' | '.join(line)} |" for line in lines]


def _anchor(title: str) -> str:
    """The link target that GitHub gives a heading."""
    kept = "".join(c for c in title.lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")
