"""`bitdiff repro NAME|all|list|page [--scale proxy|full] [--seeds N] [--out DIR]`."""

import argparse
import pathlib
from typing import TYPE_CHECKING

from bitdiff_jax import config as config_lib
from bitdiff_jax import files
from bitdiff_jax.cli import options
from bitdiff_jax.errors import InputError

if TYPE_CHECKING:
    from bitdiff_jax.repro.claims import Claim
    from bitdiff_jax.repro.ledger import Record

_DESCRIPTION = """\
Measure a claim of the paper (arXiv 2601.02881), or `all` of them in the order of importance. At
--scale proxy each arm is a training of about ten minutes of one core on procedural scenes, scored
on 300 held-out ones; trainings that claims share are trained once. The verdict is that of paired
sign tests over scenes, where all seeds have to agree. At --scale full the commands for accelerators
are printed with the cost that is predicted for them; nothing is run."""
_EPILOG = """\
`bitdiff repro list` tells the claims. Stopped at any moment, the same command goes on where it was.
`bitdiff repro page --out DIR --to docs/ledger.md` writes the page of what DIR holds, with the rows
in a compact form beside it, where those of other runs stay; without --out it is written anew from
those. A ledger may be filled on several machines: --known docs/ledger makes only what it lacks."""
LIST, PAGE = "list", "page"


def main(argv: list[str]) -> int:
    """Parses the command line and runs, prints or writes what was asked for."""
    args = _parser().parse_args(argv)

    # After the parsing: they import jax.
    from bitdiff_jax.repro import catalogue

    if args.name == LIST:
        for claim in catalogue.CLAIMS.values():
            note = " (not built)" if claim.not_run else ""
            note = " (not at this size)" if claim.not_testable else note
            print(f"  {claim.name:20s}{claim.group:10s}{claim.title}{note}")
        return 0
    if args.name == PAGE:
        return _page(args)
    claims = catalogue.named(args.name)
    if args.scale == "full":
        from bitdiff_jax.repro import full_scale

        print(full_scale.text(claims))
        return 0
    if args.out is None:
        raise InputError("--out is not given; name a folder for the results")
    return _run(args, claims)


def _run(args: argparse.Namespace, claims: "list[Claim]") -> int:
    from bitdiff_jax.parallel import compilation_cache, dispatch
    from bitdiff_jax.repro import catalogue, ledger, runner
    from bitdiff_jax.repro.deadline import Deadline, OutOfTime

    config = config_lib.load(args.config)
    evaluations = catalogue.evaluations(claims)
    there = ledger.read(_folder(args.known, "--known")) if args.known else []
    known = ledger.known(there, evaluations)
    dispatch.split_cpu(config.mesh.cpu_devices)
    compilation_cache.enable()
    out = pathlib.Path(files.make_folder(args.out, "--out"))
    work = runner.Runner(out, args.config, args.num_images, known, Deadline(args.time_limit))
    failed = 0
    with files.sole_writer(out, "--out"):
        try:
            failed = work.run(evaluations, args.seeds)
        except OutOfTime:
            print(f"the {args.time_limit:g} minutes are over; the same command goes on")
    _tell(claims, [*there, *ledger.gather(claims, out)])
    return 1 if failed else 0


def _folder(name: str, option: str) -> pathlib.Path:
    """A folder that has to be there."""
    path = pathlib.Path(files.at_home(name))
    if not path.is_dir():
        raise InputError(f"{option} {name}: no such folder")
    return path


def _tell(claims: "list[Claim]", records: "list[Record]") -> None:
    from bitdiff_jax import extensions
    from bitdiff_jax.repro import ledger, verdicts

    values = ledger.values(records)
    for claim in claims:
        judged = verdicts.judge(claim, values)
        print(f"\n{claim.name}: {judged.verdict}\n  {claim.says}")
        if claim.computed:
            for line in extensions.resolve(claim.computed, claim.name)():
                print("  " + "".join(f"{cell:>20s}" for cell in line))
        for each in judged.comparisons:
            e = each.difference
            print(
                f"  {each.comparison}: {e.mean:+.3f} [{e.low:+.3f}, {e.high:+.3f}], "
                f"p {each.p:.2g}, {len(each.seeds)} seed(s): {each.verdict}"
            )


def _page(args: argparse.Namespace) -> int:
    from bitdiff_jax.repro import page

    if args.to is None:
        raise InputError("--to is not given; name the page's file, such as docs/ledger.md")
    out = None if args.out is None else _folder(args.out, "--out")
    written = page.write(pathlib.Path(files.at_home(args.to)), out)
    print(f"written: {', '.join(map(str, written))}")
    return 0


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = -1.0
    if not 0 <= minutes < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of minutes; use 0 or more")
    return minutes


def _parser() -> argparse.ArgumentParser:
    parser = options.Parser(
        prog="bitdiff repro",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("name", metavar="NAME", help="a claim, or one of all, list, page")
    add(
        "--scale",
        choices=("proxy", "full"),
        default="proxy",
        help="run it at a size that fits here, or tell how to run it at full size (proxy)",
    )
    add("--seeds", type=options.positive, default=3, metavar="N", help="trainings of each arm (3)")
    add("--out", metavar="DIR", help="folder for everything")
    add(
        "--known",
        metavar="DIR",
        help="rows that a page keeps, such as docs/ledger: those evaluations are not made again",
    )
    add("--to", metavar="FILE", help="for page: the file to write")
    add(
        "--time_limit",
        type=_minutes,
        metavar="MINUTES",
        help="stop cleanly after so many minutes (none)",
    )
    add("--config", default="repro", metavar="NAME", help="config that the arms change (repro)")
    add(
        "--num_images",
        type=options.positive,
        metavar="N",
        help="held-out scenes (300, or 100 where many maps of each are drawn)",
    )
    return parser
