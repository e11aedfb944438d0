"""The option of `bitdiff segment` that draws a share of the pictures."""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bitdiff_jax.errors import InputError

if TYPE_CHECKING:
    from bitdiff_jax.diffusion.sampler import Sampler
    from bitdiff_jax.inference import Constraints
    from bitdiff_jax.inference.formats import Format
    from bitdiff_jax.inference.loading import Loaded
    from bitdiff_jax.inference.request import Request


def add_shard(add: Callable[..., Any]) -> None:
    """The option; `shard_of` takes it."""
    add(
        "--shard",
        metavar="I/N",
        help="draw the I-th of N shares of the pictures, I from 0, as a job of an array; a share "
        "that was begun goes on where it was. 0/1 is all of them in one job that can go on",
    )


def shard_of(
    text: str, chosen: "Mapping[str, Format]", constraints: "Constraints"
) -> tuple[int, int]:
    """(index, num_shards) that the option says.

    Args:
        text: of the option.
        chosen: the formats.
        constraints: of what is drawn.

    Raises:
        InputError: the text is no 'I/N' with 0 <= I < N, a format keeps all pictures in one file,
            or there are constraints.
    """
    from bitdiff_jax.inference import formats

    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)
    index, num_shards = (int(each) for each in found.groups()) if found else (0, 0)
    if not 0 <= index < num_shards:
        raise InputError(
            f"--shard is {text!r}; give I/N with I from 0 to N - 1, such as 0/8, and all others of "
            "N in jobs of their own"
        )
    shared = [name for name, each in chosen.items() if formats.of_folders({name: each})]
    if shared:
        raise InputError(
            f"--formats: {', '.join(shared)} keeps all pictures in one file, which several jobs "
            "cannot write; use formats with a file for each picture with --shard"
        )
    if constraints:
        raise InputError(
            "--keep, --same, --different, --points, --box and --granularity are not for shares of "
            "many pictures; leave out --shard"
        )
    return index, num_shards


def asked(
    weights: str, request: "Request", formats: "Mapping[str, Format]", criterion: str | None
) -> dict[str, Any]:
    """The part of `settings_of` that the command line says, without a model."""
    return {
        "weights": weights,
        "num_samples": request.num_samples,
        "seed": request.seed,
        "min_area": str(request.min_area),
        "edges": request.edges,
        "consensus": criterion,
        "formats": {name: _described(each) for name, each in formats.items()},
    }


def settings_of(asked: "Mapping[str, Any]", loaded: "Loaded", sampler: "Sampler") -> dict[str, Any]:
    """All that a shard's results depend on beside the pictures, as `Shard.start` compares it.

    How many maps are drawn at once is not among it, so that one may go on with less memory.
    """
    from bitdiff_jax.parallel.checksums import checksums

    return {
        **asked,
        "step": loaded.step,
        "parameters": sum(checksums(loaded.params).values()) % 2**32,
        "sampler": repr(sampler),
    }


def _described(each: "Format") -> str:
    """A format's settings, without where a function of it lies in memory."""
    tolerance = getattr(each, "tolerance", None)
    return "" if tolerance is None else f"outline_tolerance={tolerance}"
