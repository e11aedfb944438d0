"""`bitdiff pack --checkpoint DIR --out FILE|FOLDER [options]`."""

import argparse

from bitdiff_jax.cli import options

_DESCRIPTION = """\
Make one file of a trained model: the parameters that it samples with, its config and what it was
trained on. --out NAME.safetensors is a file; any other name is a folder, which gets
model.safetensors, config.json and, unless it has one, a model card README.md, so that it can be
pushed to a hub as it is. All of them are what --weights of the other subcommands takes. A file of
the same training is replaced, anything else that is there is refused.

A frozen encoder is not stored: the model names it and the hash of its weights. A tuned one is, in
float16."""


def main(argv: list[str]) -> int:
    """Parses the command line and packs."""
    args = _parser().parse_args(argv)

    # After the parsing: they import jax.
    from bitdiff_jax.inference import packing

    packed = packing.pack(
        options.load_weights(args),
        args.out,
        dtype=args.dtype,
        licence=args.licence,
        data_sets=args.data_sets,
        trained_on=args.trained_on,
    )
    about = packed.about
    size = packed.files[0].stat().length / 1e6
    print(
        f"step {about.step} ({about.param_set}), {packed.num_params:,} parameters in {args.dtype}, "
        f"{size:.1f} MB, trained on: {about.trained_on or 'unsaid'}"
    )
    if about.encoder_hash:
        print(f"without its frozen encoder {about.encoder}, hash {about.encoder_hash[:12]}")
    print(f"terms of use: {about.licence or 'none said (--licence)'}")
    if (there := packed.replaced) is not None:
        print(f"replaced: {packed.files[0]} of step {there.step} ({there.param_set})")
    print(f"written: {', '.join(map(str, packed.files))}")
    for file in packed.kept:
        print(f"left as it was: {file}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = options.Parser(
        prog="bitdiff pack",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    options.add_weights(parser)
    add("--out", required=True, metavar="FILE|FOLDER", help="what is written")
    add(
        "--dtype",
        choices=("bfloat16", "float16", "float32", "int8"),
        default="bfloat16",
        help="what the parameters are stored in (bfloat16); int8 has a factor for each output "
        "channel beside it, and half the size",
    )
    add(
        "--licence",
        metavar="TEXT",
        help="terms of use that come from the training data, in one line, which is told wherever "
        "the model is used; '' if there are none (those of a model that it was started from)",
    )
    add("--data_sets", metavar="TEXT", help="the training's data sets, in one line")
    add("--trained_on", metavar="TEXT", help="the kind of images, in words (as its training said)")
    return parser
