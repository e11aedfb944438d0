"""`bitdiff evaluate --weights NAME --data SPEC [--out DIR] [options]`.

Without a model it is `bitdiff evaluate PREDICTIONS GROUND_TRUTH`: see `evaluate_files`.
"""

import argparse
import json
import sys
import zlib
from typing import TYPE_CHECKING, Any

from bitdiff_jax import files
from bitdiff_jax.cli import evaluate_files, options, scored
from bitdiff_jax.cli.time_left import Progress
from bitdiff_jax.errors import InputError

if TYPE_CHECKING:
    from bitdiff_jax.evaluation import Drawn, Evaluation
    from bitdiff_jax.inference.loading import Loaded

# A source of procedural scenes has a million; nobody means them all.
_MANY = 100_000
_DESCRIPTION = """\
Score a trained model on pictures with known segmentations, against every annotator: the figures,
tables and files are those of `bitdiff evaluate PREDICTIONS GROUND_TRUTH`. Each batch is scored
while the next one is drawn. The exit code is 1 if a picture could not be read or scored."""
_EPILOG = """\
With --out the folder gets rows.jsonl, from which a second start knows what is done and draws the
other pictures only, whatever stopped the first; metrics.json, per_image.csv, samples.png (the first
pictures), missing.txt and, with --html, report.html, for which its pictures are drawn once more.
With several processes (see launch/README.md) each draws and scores its share and the first one
writes."""


def main(argv: list[str]) -> int:
    """Parses the command line, evaluates and prints the tables."""
    if not any(each.startswith(("--checkpoint", "--weights", "--data")) for each in argv):
        return evaluate_files.main(argv)
    args = _parser().parse_args(argv)
    with files.no_empty_folder(args.out):
        return _evaluate(args)


def _evaluate(args: argparse.Namespace) -> int:
    evaluate_files.expand_paths(args)

    # After the parsing: they import jax.
    import jax

    from bitdiff_jax.data import specs
    from bitdiff_jax.data.records import feature_cache
    from bitdiff_jax.diffusion import sampler as sampler_lib
    from bitdiff_jax.evaluation import draw_some, evaluate
    from bitdiff_jax.evaluation.scoring import Scoring
    from bitdiff_jax.inference.request import Request
    from bitdiff_jax.parallel import compilation_cache, hosts
    from bitdiff_jax.parallel import mesh as mesh_lib

    hosts.initialize(hosts.Settings())  # whatever the environment says
    scoring = Scoring(options.views_of(args.protocol, args.score_size), options.measures_of(args))
    sampler_lib.Sampler().override(
        **options.sampler_fields(args)
    )  # refused before a model is loaded
    out = options.output_folder(args)
    compilation_cache.enable()
    mesh = mesh_lib.make_mesh()
    loaded = options.load_weights(args, args.param_set, mesh=mesh)
    source = specs.open_source(args.data, image_size=loaded.model.image_size)
    if loaded.model.features is not None:  # what `prepare --encoder` wrote need not be computed
        weights = loaded.config.model.encoder.weights
        key = feature_cache.key_of(loaded.model.features.encoder, weights)
        source = feature_cache.beside(source, key)
    if args.num_images is None and len(source) > _MANY:
        raise InputError(f"--data {args.data} has {len(source)} pictures; say --num_images=N")

    sampling = options.sampler_settings(args, loaded.config.sampling)
    settings: dict[str, Any] = {
        name: getattr(args, name) for name in ("num_samples", "shuffle_images", "seed")
    } | sampling
    # Left out, so that rows written before they were settings are continued.
    for name, usual in (("temperature", 1), ("time_grid", "uniform")):
        if settings[name] == usual:
            del settings[name]
    # The paper scores maps as they are drawn; everybody else what `bitdiff segment` writes.
    settings["min_area"] = options.min_area_of(args)
    settings["edges"] = options.edges_of(args)
    unlabelled = getattr(source, "unlabelled", "every pixel is in a region")
    about = scored.about_scoring(
        options.weights_name(args), "model", args.data, unlabelled, args.protocol, *scoring
    ) | _identity(loaded, settings)
    sampler = sampler_lib.from_settings(sampling)
    request = Request(
        args.num_samples, args.seed, args.batch_size, settings["min_area"], settings["edges"]
    )
    work = loaded.model, loaded.params, source
    drawing: dict[str, Any] = {
        "sampler": sampler,
        "request": request,
        "num_images": args.num_images,
        "shuffle_images": args.shuffle_images,
        "mesh": mesh,
    }
    told = jax.process_index() == 0
    if told:
        print(
            f"step {loaded.step} ({loaded.param_set}), trained on: {loaded.trained_on or 'unsaid'}"
        )
        print(", ".join(f"{name} {value}" for name, value in settings.items()))
        asked = min(len(source), args.num_images or len(source))
        print(f"drawing {args.num_samples} map(s) of each of {asked} images ...", flush=True)
    rows = out / scored.ROWS if scored.keeps_rows(out) else None
    evaluation = evaluate(
        *work,
        scoring=scoring,
        rows_file=rows,
        about=about,
        num_shown=args.sheet if out else 0,
        keep_going=True,
        workers=args.workers,
        resumed=(lambda *numbers: scored.tell_resumed(rows or "", *numbers)) if told else None,
        progress=Progress(log_seconds=60.0, brief=True) if told else None,
        **drawing,
    )
    table = evaluation.table
    scored.check(table, len(evaluation.names))
    # What a folder holds, the first process knows.
    sheet, wanted = hosts.broadcast(_to_show(evaluation, out, args))
    drawn = evaluation.drawn | (draw_some(*work, wanted, **drawing) if wanted else {})
    if told:
        about |= {
            "trained_on": loaded.trained_on,
            "config": json.loads(loaded.config.to_json_best_effort()),
        }
        _present(evaluation, drawn, about, out, sheet, args)
    return 1 if table.errors else 0


def _identity(loaded: "Loaded", settings: dict[str, Any]) -> dict[str, Any]:
    """The part of `about` that says which maps are drawn."""
    import jax
    import numpy as np

    checksum = 0
    for leaf in jax.tree.leaves(loaded.params):
        checksum = zlib.crc32(np.asarray(leaf.addressable_data(0)).tobytes(), checksum)
    return {
        "step": loaded.step,
        "param_set": loaded.param_set,
        "parameters": f"{checksum:08x}",
        "settings": settings,
    }


def _to_show(
    evaluation: "Evaluation", out: Any, args: argparse.Namespace
) -> tuple[list[str], list[int]]:
    """Names on samples.png, none to leave it, and the places of what has to be drawn once more."""
    from bitdiff_jax.evaluation.report.page_images import shown_names

    table = evaluation.table
    there = set(table.names)
    sheet = [name for name in evaluation.names[: args.sheet] if name in there] if out else []
    if out and not evaluation.num_drawn and (out / scored.SHEET).exists():
        sheet = []
    names = set(sheet)
    if out and args.html:
        views, measures = evaluation.scoring
        groups = shown_names(table, views[-1], args.sheet, measures[0].metrics[0])
        names |= {name for group in groups.values() for name in group}
    places = [place for place, name in enumerate(evaluation.names) if name in names]
    return sheet, [place for place in places if place not in evaluation.drawn]


def _present(
    evaluation: "Evaluation",
    drawn: "dict[int, Drawn]",
    about: dict[str, Any],
    out: Any,
    sheet: list[str],
    args: argparse.Namespace,
) -> None:
    """Prints the tables and writes the files."""
    from bitdiff_jax.evaluation import cautions, on_files, truths
    from bitdiff_jax.evaluation.predictions.from_model import DrawnMaps

    table, summary = evaluation.table, evaluation.summary
    at_hand = {each.name: each for each in drawn.values()}
    maps = DrawnMaps(options.weights_name(args), table.names, at_hand, about["unlabelled"])
    task = on_files.Task(maps, maps, *evaluation.scoring)
    scored.print_tables(
        task, table, summary, len(evaluation.names), args.protocol, about["unlabelled"],
        every=args.all,
    )  # fmt: skip
    nothing = truths.Matching((), (), ())
    if out is not None:
        about |= {"num_images": len(table.names), "errors": table.errors}
        about |= {"missing": nothing._asdict(), "caution": cautions.much_ignored(table)}
        page = args.sheet if args.html else None
        scored.write_all(out, task, table, summary, evaluation.names, about, sheet=sheet, page=page)
    if missing := scored.missing_text(nothing, table):
        print(f"\n{missing}", file=sys.stderr)
    evaluate_files.tell_caution(table)


def _parser() -> argparse.ArgumentParser:
    parser = options.Parser(
        prog="bitdiff evaluate",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    options.add_weights(parser)
    add(
        "--data",
        required=True,
        metavar="SPEC",
        help="folder:DIR,split=val or scenes,level=1,seed=1",
    )
    options.add_output(add)
    add(
        "--num_samples",
        type=options.positive,
        default=1,
        metavar="N",
        help="maps per picture (1)",
    )
    options.add_sampler(add)
    add(
        "--method",
        type=options.method,
        metavar="METHOD",
        help="ddpm, ddim, dpmpp_2m, or package.module:name of a step method (the checkpoint's)",
    )
    options.add_param_set(add)
    add(
        "--shuffle_images",
        action="store_true",
        help="show the model another picture's image: what it scores without looking",
    )
    add(
        "--batch_size",
        type=options.positive,
        default=16,
        metavar="N",
        help="maps at a time (16)",
    )
    add("--seed", type=options.natural, default=0, metavar="N", help="of the samples (0)")
    add(
        "--min_area",
        metavar="AREA",
        help="score maps without smaller pieces, as `bitdiff segment` writes them: in pixels of "
        "the truth, a share (0.1%%), or pixels of the map as drawn; 0 keeps all ('8 drawn'; with "
        "--protocol paper 0)",
    )
    add(
        "--edges",
        choices=("image", "nearest"),
        help="score maps whose edges follow the picture, as `bitdiff segment` writes them, or the "
        "pixels as drawn (image; with --protocol paper nearest)",
    )
    options.add_scoring(add)
    return parser
