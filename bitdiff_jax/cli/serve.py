"""`bitdiff serve [--weights photos] [--port 7860] [options]`."""

import argparse

from bitdiff_jax.cli import options

_DESCRIPTION = """\
A page in the browser: drop an image onto it, look at the regions and at how sure they are, answer
what the model would like to know, and take the result along in any format. See docs/page.md."""


def main(argv: list[str]) -> int:
    """Parses the command line and serves the page until it is interrupted.

    Args:
        argv: what follows `serve` on the command line.

    Raises:
        InputError: an option is out of its range, gradio is not installed, the model cannot be
            loaded, or the port is taken.
    """
    args = _parser().parse_args(argv)
    from bitdiff_jax.inference import Segmenter
    from bitdiff_jax.parallel import compilation_cache
    from bitdiff_jax.serve import server
    from bitdiff_jax.serve.limits import Limits
    from bitdiff_jax.serve.service import Service

    limits = Limits(
        max_bytes=args.max_megabytes * 1_000_000,
        max_pixels=args.max_megapixels * 1_000_000,
        max_samples=args.max_samples,
        max_waiting=args.max_waiting,
        keep_seconds=args.keep_minutes * 60,
    )
    server.check_installed()
    compilation_cache.enable()
    segmenter = Segmenter.from_loaded(options.load_weights(args))
    server.run(Service(segmenter, limits), args.host, args.port)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = options.Parser(prog="bitdiff serve", description=_DESCRIPTION, allow_abbrev=False)
    add = parser.add_argument
    options.add_weights(parser, default="photos")
    add(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 lets other machines in, without a password (127.0.0.1)",
    )
    add("--port", type=int, default=7860, help="port; 0 for any that is free (7860)")
    add(
        "--max_megabytes", type=options.positive, default=32, help="largest file, in MB (32)"
    )  # fmt: skip
    add(
        "--max_megapixels",
        type=options.positive,
        default=50,
        help="largest image, in millions of pixels; refused before it is decoded (50)",
    )
    add("--max_samples", type=options.positive, default=32, help="most samples of an image (32)")
    add("--max_waiting", type=options.positive, default=20, help="most drawings that wait (20)")
    add(
        "--keep_minutes",
        type=options.positive,
        default=60,
        help="how long an image and its results are kept after they were last looked at (60)",
    )
    return parser
