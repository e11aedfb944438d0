"""A note, before a training begins, on images with more regions than there are codes."""

import time

import ml_collections
import numpy as np

from bitdiff_jax.data import transforms
from bitdiff_jax.data.pipeline import Source
from bitdiff_jax.data.records.record_source import RecordSource
from bitdiff_jax.data.resident import Resident
from bitdiff_jax.training.setup import Setup

_SAMPLE = 64  # greatest number of images that are read of each set
_SECONDS = 2.0  # time to read the images of all sets


def line(setup: Setup) -> str | None:
    """One line on the label maps with more regions than codes, or None if there are none.

    Prepared records hold their counts; of other sets a sample is read, for two seconds at most.
    """
    num_codes = setup.model.encoding.num_codes
    deadline = time.monotonic() + _SECONDS
    counts, whole = [], True
    for source in setup.sources.values():
        known = recorded_counts(source)
        whole &= known is not None
        if known is None:
            known = sampled_counts(source, setup.model.image_size, deadline)
        counts += known
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


def recorded_counts(source: Source) -> list[int] | None:
    """The stored number of regions of each label map of prepared records; None for other sets."""
    inner = source.source if isinstance(source, Resident) else source
    return inner.region_counts() if isinstance(inner, RecordSource) else None


def sampled_counts(source: Source, size: int, deadline: float) -> list[int]:
    """Numbers of regions of some label maps, spread evenly over a set, at the network's size.

    Args:
        source: the set. Images that are read stay in the memory of a `Resident`.
        size: side, in pixels, of the square that the network sees.
        deadline: time of `time.monotonic` after which no more images are read.
    """
    counts: list[int] = []
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
    return counts


def _remedy(model: ml_collections.ConfigDict, num_codes: int, most: int) -> str:
    if model.encoding != "bits":
        return "--config.model.encoding=bits --config.model.num_bits=8 has 256"
    bits = max(num_codes.bit_length(), (most - 1).bit_length())
    bound = model.palette.max_regions
    more = f" --config.model.palette.max_regions={2**bits}" if most > bound else ""
    return f"--config.model.num_bits={bits}{more} has {2**bits}"
