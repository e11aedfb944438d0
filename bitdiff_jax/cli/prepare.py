"""`bitdiff prepare KIND --source DIR --out DIR [options]`."""

import argparse
import shlex
import sys

from bitdiff_jax.cli import prepare_features
from bitdiff_jax.cli.options import Parser, natural
from bitdiff_jax.cli.time_left import Progress
from bitdiff_jax.errors import InputError


def main(argv: list[str]) -> int:
    """Parses the command line, prepares the data set and prints the summary."""
    args = _parser().parse_args(argv)

    # After the parsing: it takes a second.
    from bitdiff_jax import files
    from bitdiff_jax.data import spec_text
    from bitdiff_jax.data.records import feature_cache, folder_layout, writer
    from bitdiff_jax.data.records.record_source import RecordSource

    options = _options(args.option)
    if args.zero:
        options["zero"] = args.zero
    splits = args.splits.split(",") if args.splits else None
    encoding = prepare_features.Encoding(args) if args.encoder else None
    text = writer.prepare(
        writer.Files(args.kind, args.source, options),
        args.out,
        splits=splits,
        size=args.size,
        image_format=args.image_format,
        workers=args.workers,
        strict=args.strict,
        report=Progress(),
        warn=_warn,
    )
    print(text, end="")
    if encoding:
        folder = feature_cache.write(
            args.out,
            encoding.key,
            encoding.cells_of,
            splits=splits,
            report=Progress("features of "),
            warn=_warn,
        )
        print(f"features of {args.encoder}: {folder}")
    out = files.at_home(args.out).rstrip("/") or "/"
    print(f"written: {out}/{folder_layout.SUMMARY}, {out}/{folder_layout.SHEET}")
    # As a shell takes them.
    whole = shlex.quote(spec_text.write("records", out))
    use = f"use it as --data {whole}"
    if RecordSource.splits(out) != (folder_layout.ALL,):
        split = shlex.quote(spec_text.write("records", out, {"split": "NAME"}))
        use += f", or one split of it as {split}"
    print(use)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="bitdiff prepare",
        description="Turn a data set as its authors ship it into shards of records, which train "
        "fast. Interrupted and started again it goes on where it was.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "kind",
        metavar="KIND",
        help="folder, masks, entityseg, coco_panoptic, coco_instances, bsds500, ade20k, "
        "cityscapes, voc or tfds:NAME",
    )
    add("--source", required=True, metavar="DIR", help="the data set")
    add("--out", required=True, metavar="DIR", help="the folder to make; may be gs://...")
    add(
        "--size",
        type=natural,
        default=128,
        metavar="N",
        help="longest side that is kept (128); 0 keeps every size",
    )
    add("--splits", metavar="A,B", help="these splits only (all there are)")
    add(
        "--zero",
        choices=("ignore", "background", "region"),
        help="what id 0, or a pixel of no mask, is: not annotated, the background (nuclei, cells: "
        "all that is no object is one region), or a region like the others",
    )
    add(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any option of the kind, as in its SPEC; may be repeated",
    )
    add(
        "--image_format",
        choices=("jpeg", "png"),
        default="jpeg",
        help="how pictures are kept: jpeg of quality 95 (default), or png without loss",
    )
    add("--workers", type=natural, metavar="N", help="processes (one a core); 0: this one alone")
    add(
        "--strict",
        action="store_true",
        help="stop at a picture that cannot be read instead of leaving it out",
    )
    prepare_features.add_arguments(parser)
    return parser


def _options(pairs: list[str]) -> dict[str, str]:
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise InputError(f"--option {pair!r} is not of the form key=value")
        options[key.strip()] = value.strip()
    return options


def _warn(line: str) -> None:
    print(f"warning: {line}", file=sys.stderr, flush=True)
