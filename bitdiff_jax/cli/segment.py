"""`bitdiff segment IMAGE ... --out DIR [--weights NAME] [options]`."""

import argparse
import collections
import contextlib
import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bitdiff_jax import files
from bitdiff_jax.cli import constraint_options, like_option, options, shard_option, tile_option
from bitdiff_jax.errors import InputError

if TYPE_CHECKING:
    from bitdiff_jax.data.pipeline import Source
    from bitdiff_jax.diffusion.sampler import Sampler
    from bitdiff_jax.inference import Constraints, Segmentation, Segmenter, outputs
    from bitdiff_jax.inference.entries import Entry
    from bitdiff_jax.inference.formats import Format
    from bitdiff_jax.inference.request import Request
    from bitdiff_jax.inference.results_folder import ResultsFolder
    from bitdiff_jax.inference.shards import Shard
    from bitdiff_jax.posterior.likeness import Likeness

_NO_CONSENSUS = "none"
_NUM_SAMPLES = 4
# The region of points is read off samples that differ, and so is what examples say; see
# docs/prompts.md.
_NUM_SAMPLES_OF_POINTS = 16
_SAMPLER_OF_BELIEF = {"temperature": 1.0, "guidance_weight": 0.0}
_DESCRIPTION = """\
Draw label maps of pictures. For each picture ID, the folder --out gets
  ID_labels.png     16-bit grey, region ids 1..n (a viewer shows it black): the consensus of the
                    samples, see --consensus. Of a model that was trained with zero=background these
                    are the objects, and 0 is the background
  ID_colours.png    its regions, a colour each
  ID_overlay.png    its regions over the picture
  ID_agreement.png  grey with a legend, white where all samples draw the same region (not with one
                    sample)
  ID_region.png     with --points, of a model that was not trained with them: white in their region,
                    which is one region of ID_labels.png as well
and with eight samples or more
  ID_boundary.png   the probability of a boundary: 8-bit grey, 255 is 1
  ID_boundary.npy   the same as an array, float32
  ID_mode1.png ...  the two or three most different answers, as ID_labels.png, most probable first
  ID_modes.png      their regions over the picture, and how probable they are
and for all of them overview.png, the first of them at a glance, regions.csv, one row per region but
the background, modes.csv, one row per mode, and images.csv, one row per picture, with the reasons
not to trust it, if there are any. A region is one object, which may be in several pieces that do
not touch, as behind a pole; the column `pieces` counts them. Columns that end in _low and _high
are an interval that holds 90 % of the samples: num_regions of the number of regions, area of the
area of that region of a sample which overlaps this one best. ID is the name of the file without its
ending; another picture of the same ID becomes ID-2.

All of this grows as pictures are finished, and an error or Ctrl-C leaves no half-written ones. The
same command again, or one with more pictures or other settings, replaces the results of each
picture that it draws; those of a picture that can no longer be read stay, with their rows.
unfinished.csv names the pictures of a command that is running or was killed; the same command again
clears up. A folder that holds results of other pictures is refused, and so is one that another
command is writing to.

With --shard 0/8 ... 7/8 the same command is run by the jobs of an array, each of which draws its
share of the pictures and, when it is started again, goes on where it was; `bitdiff join` makes
their tables one. There is no overview.png then, and a picture that cannot be read does not change
the exit code: `bitdiff join` names it. See docs/shards.md.

With --tile_size pictures much larger than the model are drawn tile by tile, see docs/tiles.md. The
folder gets ID_labels.png, and ID_overlay.png of at most 2,048 pixels a side."""


def main(argv: list[str]) -> int:
    """Parses the command line and segments.

    Args:
        argv: what follows `segment` on the command line.

    Returns:
        0, or 1 if pictures had to be left out, which are named on stderr; with --shard 0 then too.

    Raises:
        InputError: nothing could be done, or not to the end.
    """
    args = _parser().parse_args(argv)
    if args.num_samples is None:
        alike = _NUM_SAMPLES if args.like is None else like_option.NUM_SAMPLES
        args.num_samples = alike if args.points is None else _NUM_SAMPLES_OF_POINTS
    with files.no_empty_folder(args.out):
        return _segment(args) if args.tile_size is None else tile_option.segment(args)


def _segment(args: argparse.Namespace) -> int:
    # After the parsing: they import jax.
    from bitdiff_jax.diffusion.sampler import Sampler
    from bitdiff_jax.inference import entries as entries_lib
    from bitdiff_jax.inference import formats, results_folder, shards
    from bitdiff_jax.inference.request import Request
    from bitdiff_jax.posterior.consensus import APPEARANCE, check_criterion

    # All that can be refused is refused before a model is loaded.
    chosen = formats.open_formats(_formats(args.formats, args.consensus))
    chosen = formats.with_tolerance(chosen, args.outline_tolerance, "--outline_tolerance")
    request = Request(args.num_samples, args.seed, args.batch_size, args.min_area, args.edges)
    if args.consensus is not None:
        check_criterion(args.consensus, "--consensus", also=(APPEARANCE, _NO_CONSENSUS))
    examples = like_option.opened(args)
    Sampler().override(**options.sampler_fields(args))
    entries = entries_lib.list_entries(args.images)
    constraints = constraint_options.constraints_of(args, len(entries))
    shard = None
    if args.shard is not None:
        shard = shard_option.shard_of(args.shard, chosen, constraints)
        entries_lib.check_there(args.images)
    known = {**formats.FORMATS, **chosen}
    suffixes = formats.suffixes_of(known)
    entries_lib.check_folder(args.out, args.images, entries, suffixes)
    for argument in dict.fromkeys(args.images):
        if others := entries_lib.unread(argument):
            print(f"{argument}: {others}", flush=True)
    claimed: contextlib.AbstractContextManager[ResultsFolder | Shard]
    if shard is None:
        claimed = results_folder.claim(args.out, entries, known)
    else:
        claimed = shards.claim(args.out, entries, *shard, _asked(args, request, chosen, examples))
    del entries  # of a million pictures, a shard holds on to its own
    with claimed as folder:
        left_out = _draw(args, request, chosen, folder, constraints, examples)
        total = len(folder)
    if left_out:
        print(
            f"bitdiff segment: {left_out} of {total} picture(s) left out, see above",
            file=sys.stderr,
        )
    return 1 if left_out and shard is None else 0


def _draw(
    args: argparse.Namespace,
    request: "Request",
    chosen: "Mapping[str, Format]",
    folder: "ResultsFolder | Shard",
    constraints: "Constraints",
    examples: "Source | Likeness | None",
) -> int:
    """Draws the pictures that can be read and writes their results; how many were left out."""
    from bitdiff_jax.inference import Segmenter, asked, outputs
    from bitdiff_jax.inference.overview import Overview
    from bitdiff_jax.inference.posterior_outputs import MIN_SAMPLES
    from bitdiff_jax.parallel import compilation_cache
    from bitdiff_jax.posterior.consensus import APPEARANCE

    cache = compilation_cache.enable()

    def on_compile() -> None:
        kept = f"; {cache} keeps it for the next time" if cache else ""
        print(f"compiling the program{kept}", flush=True)

    loaded = options.load_weights(args)
    segmenter = Segmenter.from_loaded(loaded, on_compile=on_compile)
    if args.consensus == APPEARANCE and segmenter.model.features is None:
        raise InputError(
            f"--consensus is {APPEARANCE!r}, which asks for an encoder's features, and "
            f"{options.weights_name(args)} has no encoder; use vi"
        )
    trained_on = segmenter.trained_on or "pictures of a kind that its training did not name"
    print(f"{options.weights_name(args)}, step {segmenter.step}, trained on: {trained_on}")
    sampler = options.sampler_of(args, segmenter.sampler)
    reads_points = bool(constraints.inside) and not asked.takes_points(segmenter.model)
    if (reads_points or examples is not None) and args.preset is None:
        said = options.sampler_fields(args)
        sampler = sampler.override(
            **{name: value for name, value in _SAMPLER_OF_BELIEF.items() if said[name] is None}
        )
    at = "" if sampler.temperature == 1 else f", temperature {sampler.temperature:g}"
    grid = "" if sampler.time_grid == "uniform" else f" at times uniform in {sampler.time_grid}"
    print(
        f"seed {request.seed}, {request.num_samples} sample(s) of {sampler.num_steps} steps of "
        f"{sampler.method_name}{grid}, guidance weight {sampler.guidance_weight or 0:g}{at}",
        flush=True,
    )

    likeness = None
    if examples is not None:
        likeness = like_option.likeness_of(args, examples, segmenter, sampler)
    asked_for = _asked(args, request, chosen, examples)
    settings = shard_option.settings_of(asked_for, loaded, sampler)
    entries = folder.start(settings)
    if finished := len(folder) - len(entries):
        print(f"{finished} of {len(folder)} picture(s) were finished before", flush=True)
    request = request.with_at_most(len(folder) * request.num_samples)
    readable: collections.deque[Entry] = collections.deque()
    items = _read(entries, readable, folder)
    results = _results(segmenter, items, sampler, request, constraints)
    done, overview = 0, None if args.shard else Overview()
    for result in results:
        entry = readable.popleft()
        result = dataclasses.replace(result, criterion=_criterion(args), file=entry.file)
        result = result if likeness is None else result.like(likeness)
        row = folder.add(result, entry, chosen)
        if overview and overview.add(result):
            overview.save(folder.path)
        _tell(result, row)
        done += 1
    if not len(folder):
        print("there are no pictures in this share, which is finished so")
    if done:
        if args.shard is None:
            print(f"written: {done} picture(s), regions.csv and images.csv to {folder.path}")
            shown = "picture, its regions"
            if request.num_samples > 1:
                shown += ", how far the samples agree"
            print(f"look at {folder.path / outputs.OVERVIEW}: {shown}")
        else:
            print(
                f"written: {done} picture(s) to {folder.path}; once all shares are drawn, `bitdiff "
                f"join {args.out}` makes the tables"
            )
        # With fewer, no probabilities are written.
        if request.num_samples >= MIN_SAMPLES and (sharp := _sharpened(sampler)):
            print(sharp)
    return len(entries) - done


def _criterion(args: argparse.Namespace) -> str | None:
    return "medoid" if args.consensus == _NO_CONSENSUS else args.consensus


def _asked(
    args: argparse.Namespace,
    request: "Request",
    chosen: "Mapping[str, Format]",
    examples: "Source | Likeness | None",
) -> dict[str, Any]:
    # Of a share they are what was fitted before, see `like_option.opened`.
    found = _criterion(args) if examples is None else str(examples)
    return shard_option.asked(options.weights_name(args), request, chosen, found)


def _results(
    segmenter: "Segmenter",
    items: Iterator[tuple[str, Any]],
    sampler: "Sampler",
    request: "Request",
    constraints: "Constraints",
) -> "Iterator[Segmentation]":
    """The pictures' results; one by one where something is known or asked of them."""
    settings: dict[str, Any] = {
        "num_samples": request.num_samples,
        "seed": request.seed,
        "sampler": sampler,
        "batch_size": request.batch_size,
        "min_area": request.min_area,
        "edges": request.edges,
    }
    if not constraints:
        yield from segmenter.stream(items, **settings)
        return
    for name, image in items:
        constraint_options.check_size(constraints, image.shape[:2])
        known = {
            each.name: getattr(constraints, each.name) for each in dataclasses.fields(constraints)
        }
        yield segmenter(image, name=name, **settings, **known)


def _sharpened(sampler: "Sampler") -> str:
    """Why frequencies of samples are not what the model believes; '' if they are."""
    causes, remedies = [], []
    if sampler.guided:
        causes.append(f"guidance weight {sampler.guidance_weight:g}")
        remedies.append("--guidance_weight 0")
    if sampler.temperature < 1:
        causes.append(f"temperature {sampler.temperature:g}")
        remedies.append("--temperature 1")
    if not causes:
        return ""
    verb = "sharpens" if len(causes) == 1 else "sharpen"
    return (
        f"{' and '.join(causes)} {verb} the samples: probabilities are too near 0 and 1, and "
        f"intervals too narrow; for the model's own: {' '.join(remedies)}"
    )


def _formats(named: str | None, consensus: str | None) -> list[str]:
    """The names of the formats that are written."""
    from bitdiff_jax.inference import formats

    if named is not None:
        return [each.strip() for each in named.split(",")]
    without = formats.POSTERIOR if consensus == _NO_CONSENSUS else ()
    return [each for each in formats.DEFAULT if each not in without]


def _parser() -> argparse.ArgumentParser:
    parser = options.Parser(
        prog="bitdiff segment",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("images", nargs="+", metavar="IMAGE", help="an image file, or a folder of them")
    options.add_weights(parser, default="photos")
    add("--out", required=True, metavar="DIR", help="folder for the results; made if need be")
    add(
        "--num_samples",
        type=int,
        help=f"maps drawn of each picture ({_NUM_SAMPLES}; with --points {_NUM_SAMPLES_OF_POINTS}, "
        f"with --like {like_option.NUM_SAMPLES})",
    )
    options.add_sampler(add)
    constraint_options.add_constraints(add)
    like_option.add_like(add)
    shard_option.add_shard(add)
    tile_option.add_tile_size(add)
    add(
        "--consensus",
        metavar="CRITERION",
        help="by which one map is found for all samples: ari, vi, binder, linkage, vote or medoid, "
        "or appearance (for photographs and a model with an encoder), see docs/posterior.md; or "
        "none: the sample closest to the others, and neither boundary probability nor modes (vi "
        "for three different samples or more, and medoid for fewer)",
    )
    add(
        "--seed",
        type=int,
        default=0,
        help="of the randomness, together with the name of the picture's file without its ending: "
        "the same two draw the same maps, and a copy of another name gets others (0)",
    )
    add(
        "--min_area",
        metavar="AREA",
        default="8 drawn",
        help="give smaller pieces to what surrounds them: in pixels of the picture as it is "
        "written, a share of it (0.1%%), or pixels of the map as the network draws it; 0 keeps "
        "all ('8 drawn')",
    )
    add(
        "--edges",
        choices=("image", "nearest"),
        default="image",
        help="of regions at the picture's own size: follow the image, or repeat what was drawn "
        "at the network's size (image)",
    )
    add(
        "--formats",
        metavar="NAME[,...]",
        help="what is written of each picture "
        "(id_png, colours, overlay, agreement, region, boundary, modes); also id_png8, npz, "
        "coco_panoptic, coco_instances, labelme, geojson and geojson_detections (QuPath), imagej, "
        "fiftyone, hypotheses (Ultrack), see docs/formats.md, and package.module:name, a function "
        "write(segmentation, folder, name)",
    )
    add(
        "--outline_tolerance",
        type=float,
        default=1.0,
        metavar="PIXELS",
        help="how far polygons of labelme, geojson and imagej may lie from the edges of the "
        "pixels; 0 follows these (1)",
    )
    add(
        "--batch_size",
        type=int,
        default=8,
        help="maps drawn at once; lower it if memory runs out (8)",
    )
    return parser


def _read(
    entries: "Sequence[Entry]",
    readable: "collections.deque[Entry]",
    folder: "ResultsFolder | Shard",
) -> Iterator[tuple[str, Any]]:
    """The pictures that can be read, noted in `readable`; a line on stderr for each other one."""
    from bitdiff_jax.data import images
    from bitdiff_jax.inference.image_input import name_of

    for entry in entries:
        try:
            image = images.read_image(entry.file)
        except InputError as error:
            print(f"bitdiff segment: error: {error}", file=sys.stderr, flush=True)
            folder.leave_out(entry, str(error))
            continue
        readable.append(entry)
        # Not the identity, which depends on what else was named: a picture's maps do not.
        yield name_of(entry.file), image


def _count(result: "Segmentation", row: "outputs.ImageRow") -> str:
    """'6 regions', or of a model that knows its background '41 objects and background'.

    Of several samples with the interval of their number: '6 regions (4 to 9 in 90 % of samples)'.
    """
    noun = "object" if result.has_background else "region"
    text = f"{row.num_regions} {noun}{'' if row.num_regions == 1 else 's'}"
    if row.num_regions_low is not None:
        text += f" ({row.num_regions_low} to {row.num_regions_high} in 90 % of samples)"
    has_background = result.has_background and (result.label_map() == 0).any()
    return f"{text} and background" if has_background else text


def _tell(result: "Segmentation", row: "outputs.ImageRow") -> None:
    """A line for each picture, and one for each reason not to trust its result."""
    line = (
        f"{row.image}: {row.width}x{row.height}, drawn at "
        f"{result.resolution[1]}x{result.resolution[0]}, {_count(result, row)}"
    )
    if row.agreement is not None:
        line += f", mean agreement {row.agreement:.2f}"
    print(line, flush=True)
    for reason in row.warnings:
        print(f"{row.image}: not to be trusted: {reason}", flush=True)
