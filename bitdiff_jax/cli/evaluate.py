"""`bitdiff evaluate --checkpoint DIR --data SPEC [--out DIR] [options]`.

Without --checkpoint it is `bitdiff evaluate PREDICTIONS GROUND_TRUTH`: see `evaluate_files`.
"""

import argparse
import json
import sys
from typing import Any

from bitdiff_jax import files
from bitdiff_jax.cli import evaluate_files
from bitdiff_jax.errors import InputError

# A source of procedural scenes has a million; nobody means them all.
_MANY = 100_000


def main(argv: list[str]) -> int:
    """Parses the command line, evaluates and prints the table."""
    if not any(each.startswith(("--checkpoint", "--data")) for each in argv):
        return evaluate_files.main(argv)
    args = _parser().parse_args(argv)

    # After the parsing: they import jax.
    import jax

    from bitdiff_jax.data import contact_sheet, specs
    from bitdiff_jax.evaluation import evaluate, tables
    from bitdiff_jax.evaluation.drawing import sampling_settings
    from bitdiff_jax.inference import compilation_cache, loading
    from bitdiff_jax.parallel import hosts
    from bitdiff_jax.parallel import mesh as mesh_lib

    hosts.initialize(hosts.Settings())  # whatever the environment says
    # Before the work rather than after it, so that a bad path costs no time.
    out = files.make_folder(args.out, "--out") if args.out else None
    compilation_cache.enable()
    mesh = mesh_lib.make_mesh()
    loaded = loading.load(args.checkpoint, args.weights, mesh=mesh)
    source = specs.open_source(args.data, image_size=loaded.model.image_size)
    if args.num_images is None and len(source) > _MANY:
        raise InputError(f"--data {args.data} has {len(source)} pictures; say --num_images=N")
    count = min(len(source), args.num_images or len(source))

    sampling = sampling_settings(loaded.config)
    sampling |= {k: v for k in sampling if (v := getattr(args, k, None)) is not None}
    settings: dict[str, Any] = {
        name: getattr(args, name)
        for name in ("num_samples", "score_size", "shuffle_images", "seed")
    } | sampling
    evaluation = evaluate(
        loaded.model,
        loaded.params,
        source,
        num_images=args.num_images,
        batch_size=args.batch_size,
        num_shown=args.sheet if out else 0,
        mesh=mesh,
        progress=_progress(count) if sys.stderr.isatty() else None,
        **settings,
    )

    if jax.process_index():  # all have the same figures; the first one tells them
        return 0
    print(f"{args.checkpoint}, step {loaded.step} ({loaded.weights}), on {args.data}")
    print(", ".join(f"{name} {value}" for name, value in settings.items()))
    print(tables.as_text(evaluation.rows, evaluation.summary))
    if out is None:
        return 0
    about = {
        "checkpoint": str(args.checkpoint),
        "step": loaded.step,
        "weights": loaded.weights,
        "trained_on": loaded.trained_on,
        "data": args.data,
        "num_images": count,
        "settings": settings,
        "config": json.loads(loaded.config.to_json_best_effort()),
    }
    written = {
        "metrics.json": tables.as_json(evaluation.summary, about),
        "per_image.csv": tables.as_csv(evaluation.rows),
    }
    if args.sheet:
        written["samples.png"] = contact_sheet.to_png(evaluation.sheet())
    for name, data in written.items():
        files.write(out / name, data)
    print(f"written: {', '.join(str(out / name) for name in written)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bitdiff evaluate",
        description="Score a trained model on pictures with known segmentations: adjusted Rand "
        "index and IoU after the best matching of regions, against every annotator.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--checkpoint", required=True, metavar="DIR", help="the --workdir of a training")
    add(
        "--data",
        required=True,
        metavar="SPEC",
        help="folder:DIR,split=val,zero=ignore or scenes,level=1,seed=1",
    )
    add("--out", metavar="DIR", help="write metrics.json, per_image.csv and samples.png there")
    add("--num_images", type=_positive, metavar="N", help="the first N pictures only")
    add("--num_samples", type=_positive, default=1, metavar="N", help="maps per picture (1)")
    add("--num_steps", type=_positive, metavar="N", help="sampling steps (the checkpoint's)")
    add(
        "--guidance_weight",
        type=float,
        metavar="W",
        help="0 is plain conditional (the checkpoint's)",
    )
    add("--method", choices=("ddpm", "ddim"), help="sampler (the checkpoint's)")
    add("--weights", choices=("ema", "raw"), help="parameters (the checkpoint's choice)")
    add(
        "--score_size",
        type=_natural,
        default=128,
        metavar="N",
        help="longest side at which maps are compared (128); 0 is the truth's own size",
    )
    add(
        "--shuffle_images",
        action="store_true",
        help="show the model another picture's image: what it scores without looking",
    )
    add("--batch_size", type=_positive, default=16, metavar="N", help="maps at a time (16)")
    add("--seed", type=_natural, default=0, metavar="N", help="of the samples (0)")
    add(
        "--sheet",
        type=_natural,
        default=8,
        metavar="N",
        help="pictures in samples.png (8); 0 leaves it out",
    )
    return parser


def _natural(text: str, low: int = 0) -> int:
    if not text.isdecimal() or int(text) < low:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of {low} or more")
    return int(text)


def _positive(text: str) -> int:
    return _natural(text, low=1)


def _progress(count: int) -> Any:
    def show(done: int) -> None:
        end = "\n" if done == count else ""
        print(f"\r{done} of {count} pictures", end=end, file=sys.stderr, flush=True)

    return show
