"""`bitdiff import-reference FILE --out FILE|FOLDER [options]`."""

import argparse

from bitdiff_jax.cli import options
from bitdiff_jax.cli.train import override

_DESCRIPTION = """\
Make a model of this package of a checkpoint of the paper's released code (PyTorch). The file is
read without PyTorch, and nothing in it is executed: a file that holds more than tensors and plain
values is refused. --out is what --weights of the other subcommands takes, see `bitdiff pack`.

The network's size comes from the shapes of its parameters, everything else from the config `paper`:
analog bits, prediction of x0, 8 steps of DDPM, guidance weight 1. A checkpoint that was trained
otherwise needs --config.KEY=VALUE, as for `bitdiff train`."""


def main(argv: list[str]) -> int:
    """Parses the command line and imports."""
    parser = _parser()
    args, overrides = parser.parse_known_args(argv)

    # After the parsing: they import jax.
    from bitdiff_jax import config_checks
    from bitdiff_jax.errors import InputError
    from bitdiff_jax.inference import packing, reference_import

    tensors = reference_import.read(args.file)
    try:
        config = reference_import.settings_of(tensors)
    except InputError as error:
        raise InputError(f"{args.file}: {error}") from None
    config = override(config, overrides, parser)
    config_checks.check(config)
    packed = packing.pack(
        reference_import.loaded(tensors, config, args.file),
        args.out,
        dtype=args.dtype,
        licence=args.licence,
        data_sets=args.data_sets,
        trained_on=args.trained_on,
    )
    model = config.model
    print(
        f"{packed.num_params:,} parameters, {model.num_bits} bits ({model.encoding}), "
        f"{model.image_size} x {model.image_size} pixels, prediction {model.prediction}"
    )
    print(f"written: {', '.join(map(str, packed.files))}")
    return 0


def _parser() -> options.Parser:
    parser = options.Parser(
        prog="bitdiff import-reference",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("file", metavar="FILE", help="the checkpoint, .pt or .pth, or its tensors as safetensors")
    add("--out", required=True, metavar="FILE|FOLDER", help="what is written")
    add(
        "--dtype",
        choices=("bfloat16", "float16", "float32", "int8"),
        default="float32",
        help="what the parameters are stored in (float32)",
    )
    add("--licence", default="", metavar="TEXT", help="terms of use, in one line")
    add("--data_sets", default="", metavar="TEXT", help="the training's data sets, in one line")
    add("--trained_on", default="", metavar="TEXT", help="the kind of images, in words")
    return parser
