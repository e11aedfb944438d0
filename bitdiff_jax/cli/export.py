"""`bitdiff export --weights NAME --out DIR [options]`."""

import argparse
import dataclasses

from bitdiff_jax import files
from bitdiff_jax.cli import options
from bitdiff_jax.errors import InputError

_PLATFORMS = "cpu,cuda,tpu"
_DESCRIPTION = """\
Write the whole sampler of a trained model as a StableHLO program, for machines that have JAX and
not this package. The folder --out gets
  sampler.stablehlo   the program, for any number of images at once; jax.export reads it
  params.npz          the parameters
  sampler.json        what goes in and comes out, the settings, what the model is
  run.py              draws label maps of image files: python DIR/run.py photo.jpg --out drawn

How maps are drawn becomes part of the program. A newer JAX reads it for at least six months, the
compatibility that jax.export promises.

With --to onnx the folder gets net.onnx, the network, of a model with an image encoder encoder.onnx
and features.onnx too, and a run.py whose loop is numpy, for machines that have onnxruntime and not
JAX. Maps are drawn by DDIM at uniform times. It needs jax2onnx, see docs/export.md."""


def main(argv: list[str]) -> int:
    """Parses the command line and exports."""
    args = _parser().parse_args(argv)
    with files.no_empty_folder(args.out):
        return _export(args)


def _export(args: argparse.Namespace) -> int:
    # After the parsing: they import jax.
    from bitdiff_jax.diffusion import sampler as sampler_lib
    from bitdiff_jax.diffusion.step_methods import Ddim
    from bitdiff_jax.export import export_denoiser, export_sampler

    if args.to == "onnx" and args.platforms != _PLATFORMS:
        raise InputError(
            "--platforms is of --to stablehlo: an ONNX export runs where onnxruntime does; leave "
            "it out"
        )
    sampler_lib.Sampler().override(**options.sampler_fields(args))
    loaded = options.load_weights(args)
    sampler = options.sampler_of(args, sampler_lib.from_settings(loaded.config.sampling))
    if args.to == "onnx":
        if args.preset is None and not isinstance(sampler.method, Ddim):
            print(f"maps are drawn by ddim: the loop does not know {sampler.method_name}")
            sampler = dataclasses.replace(sampler, method=Ddim())
        written = export_denoiser(loaded, args.out, sampler, with_encoder=not args.no_encoder)
        size = f"graphs {written.program_bytes / 1e6:.1f} MB"
        print(f"written: {written.folder} ({size}), {sampler.num_steps} steps")
        return 0
    done = export_sampler(
        loaded,
        args.out,
        sampler,
        with_encoder=not args.no_encoder,
        platforms=[each.strip() for each in args.platforms.split(",") if each.strip()],
    )
    sizes = (
        f"program {done.program_bytes / 1e6:.1f} MB, parameters {done.params_bytes / 1e6:.1f} MB"
    )
    print(f"written: {done.folder} ({sizes}), {sampler.num_steps} steps")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = options.Parser(
        prog="bitdiff export",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    options.add_weights(parser, default="photos")
    add("--out", required=True, metavar="DIR", help="folder for the export; made if need be")
    options.add_sampler(add)
    add(
        "--to",
        choices=("stablehlo", "onnx"),
        default="stablehlo",
        help="the whole sampler for JAX, or the networks for onnxruntime (stablehlo)",
    )
    add(
        "--no_encoder",
        action="store_true",
        help="leave out the image encoder: its features are then an input",
    )
    add(
        "--platforms",
        default=_PLATFORMS,
        metavar="NAME[,...]",
        help="what the program is for (cpu,cuda,tpu)",
    )
    return parser
