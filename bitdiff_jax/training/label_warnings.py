"""Label maps that a training makes little of: told before it begins."""

import time
from collections.abc import Mapping
from typing import NamedTuple

import ml_collections
import numpy as np

from bitdiff_jax.data import transforms
from bitdiff_jax.data.pipeline import Source, has_background
from bitdiff_jax.data.records.record_source import RecordSource
from bitdiff_jax.data.resident import Resident
from bitdiff_jax.training.setup import Setup

_SAMPLE = 64  # images of each set
_SECONDS = 2.0  # for all of them
_MUCH_IGNORED = 0.5


class LabelStatistics(NamedTuple):
    """What the label maps of a set are like."""

    counts: list[int]  # regions of each label map
    ignored_share: float  # of all pixels
    whole: bool  # all of the set, not a sample


def lines(setup: Setup) -> list[str]:
    """A line on the label maps with more regions than codes, and one on sets mostly ignored.

    Prepared records know their statistics; of other sets a sample is read, for two seconds at most.
    """
    deadline = time.monotonic() + _SECONDS
    sets = {
        name: recorded(source) or sampled(source, setup.model.image_size, deadline)
        for name, source in setup.sources.items()
    }
    counts = {
        # The background has its code whether there is one or not.
        name: [n + (setup.model.palette.background and not has_background(source)) for n in
               sets[name].counts]
        for name, source in setup.sources.items()
    }  # fmt: skip
    every = [n for of_set in counts.values() for n in of_set]
    found = [
        _excess(setup, every, all(each.whole for each in sets.values())),
        _ignored(setup.sources, sets),
    ]
    return [line for line in found if line is not None]


def recorded(source: Source) -> LabelStatistics | None:
    """What was counted when a set was prepared; None for other sets than records."""
    inner = source.source if isinstance(source, Resident) else source
    if not isinstance(inner, RecordSource) or (counts := inner.region_counts()) is None:
        return None
    return LabelStatistics(counts, inner.ignored_share() or 0.0, True)


def sampled(source: Source, size: int, deadline: float) -> LabelStatistics:
    """The label maps of some images, spread evenly over a set, at the network's size.

    Args:
        source: the set. What is read stays in the memory of a `Resident`.
        size: of the network.
        deadline: of `time.monotonic`, after which no more images are read.
    """
    counts: list[int] = []
    ignored = pixels = 0
    number = min(_SAMPLE, len(source))
    for k in range(number):
        if counts and time.monotonic() > deadline:
            break
        item = source[(2 * k + 1) * len(source) // (2 * number)]
        for labels in item["labels"]:
            height, width = labels.shape
            shape = transforms.resized_shape(height, width, size)
            resized = transforms.resize_labels(labels, shape, "majority")
            counts.append(len(np.unique(resized[resized >= 0])))
            ignored, pixels = ignored + int((resized < 0).sum()), pixels + resized.size
    return LabelStatistics(counts, ignored / max(1, pixels), False)


def _excess(setup: Setup, counts: list[int], whole: bool) -> str | None:
    num_codes = setup.model.encoding.num_codes
    over = np.mean(np.asarray(counts) > num_codes) if counts else 0.0
    if not over:
        return None
    config = setup.config.model
    which = "label maps" if whole else f"{len(counts)} sampled label maps"
    fate = {
        "ignore": "the smallest of their regions are left out of the loss",
        "merge": "the smallest of their regions become part of the largest",
    }[config.palette.excess]
    return (
        f"warning: {over:.1%} of the {which} have more regions than the {num_codes} codes (up to "
        f"{max(counts)}): {fate}; {_remedy(config, num_codes, max(counts))}"
    )


def _ignored(sources: Mapping[str, Source], sets: Mapping[str, LabelStatistics]) -> str | None:
    much = [name for name in sources if sets[name].ignored_share > _MUCH_IGNORED]
    if not much:
        return None
    shares = ", ".join(f"{sets[name].ignored_share:.0%} of the pixels of {name}" for name in much)
    return (
        f"warning: {shares} are ignored, and a model may draw anything there, such as a grid of "
        "regions; if they are background (nuclei, cells) and not lack of annotation, say "
        "zero=background, or zero=region where 0 is a label like the others"
    )


def _remedy(model: ml_collections.ConfigDict, num_codes: int, most: int) -> str:
    if model.encoding != "bits":
        return "for 256 codes: --config.model.encoding=bits --config.model.num_bits=8"
    bits = max(num_codes.bit_length(), (most - 1).bit_length())
    bound = model.palette.max_regions
    more = f" --config.model.palette.max_regions={2**bits}" if most > bound else ""
    return f"for {2**bits} codes: --config.model.num_bits={bits}{more}"
