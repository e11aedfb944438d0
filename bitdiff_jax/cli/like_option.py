"""The options of `bitdiff segment` that take labelled examples of the pictures' kind."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bitdiff_jax import files
from bitdiff_jax.errors import InputError

if TYPE_CHECKING:
    from bitdiff_jax.data.pipeline import Source
    from bitdiff_jax.diffusion.sampler import Sampler
    from bitdiff_jax.inference import Segmenter
    from bitdiff_jax.posterior.likeness import Likeness

NAMES = ("like", "save_like")
# What was fitted to some samples holds for samples of this kind (docs/prompts.md).
NUM_SAMPLES = 8


def add_like(add: Callable[..., Any]) -> None:
    """The options; `opened` and `likeness_of` take them."""
    add(
        "--like",
        metavar="DATA|FILE.json",
        help="1 to 50 labelled pictures of the same kind, as `bitdiff train` takes data: a folder "
        "with images/ and labels/, or folder:DIR,zero=region; or what --save_like wrote. How the "
        "samples become one map is fitted to them, without training, and used if it is better on "
        "the examples; for a model with an encoder. Samples are 8 at temperature 1 and guidance 0 "
        "unless told otherwise, see docs/prompts.md",
    )
    add("--save_like", metavar="FILE.json", help="write what --like fitted, for the next time")


def opened(args: argparse.Namespace) -> "Source | Likeness | None":
    """The examples, or what was fitted to some, before a model is loaded; None without the option.

    Raises:
        InputError: there are no labelled pictures, or too many; a file of another kind; or options
            that do not go together.
    """
    if args.like is None:
        if args.save_like is not None:
            raise InputError("--save_like: nothing is fitted without --like; name examples with it")
        return None
    from bitdiff_jax.data import specs
    from bitdiff_jax.posterior.likeness import MAX_EXAMPLES, Likeness

    if args.consensus is not None:
        raise InputError(
            f"--consensus {args.consensus} and --like: the examples say how one map is found; "
            "leave out one of them"
        )
    if args.shard is not None and not args.like.endswith(".json"):
        raise InputError(
            "--like: the jobs of --shard would fit each anew; fit once with --save_like FILE.json, "
            "and give --like FILE.json to all"
        )
    if args.like.endswith(".json"):
        return Likeness.load(files.at_home(args.like))
    text = args.like if ":" in args.like else f"folder:{args.like}"
    source = specs.open_source(text, image_size=512)
    if not 1 <= len(source) <= MAX_EXAMPLES:
        raise InputError(
            f"--like {args.like}: holds {len(source)} labelled pictures; give 1 to {MAX_EXAMPLES}, "
            "and train on more with `bitdiff train`"
        )
    return source


def likeness_of(
    args: argparse.Namespace,
    examples: "Source | Likeness",
    segmenter: "Segmenter",
    sampler: "Sampler",
) -> "Likeness":
    """What the examples say; one line is printed, and the file of --save_like written.

    Raises:
        InputError: see `Segmenter.like`.
    """
    from bitdiff_jax.cli import options
    from bitdiff_jax.posterior.likeness import Likeness

    if segmenter.model.features is None:
        raise InputError(
            f"--like compares an encoder's features, and {options.weights_name(args)} has no "
            "encoder; use one that has, such as photos"
        )
    if isinstance(examples, Likeness):
        found = examples
    else:
        items = [examples[i] for i in range(len(examples))]
        found = segmenter.like(
            [item["image"] for item in items],
            [item["labels"] for item in items],
            args.num_samples,
            args.seed,
            sampler=sampler,
            batch_size=args.batch_size,
        )
    if args.save_like is not None:
        found.save(files.at_home(args.save_like))
    print(f"like {args.like}: {found}", flush=True)
    return found
