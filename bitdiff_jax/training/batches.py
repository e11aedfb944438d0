"""Which batch each step gets: the stream of the pipeline, without those that were skipped."""

import contextlib
import itertools
from collections.abc import Callable, Generator, Iterator, Sequence

import numpy as np

from bitdiff_jax.training.interruption import shielded

Batch = dict[str, np.ndarray]


def batch_number(step: int, skipped: Sequence[int]) -> int:
    """Number of the batch that a step gets, counted from 1 in the pipeline's stream.

    Args:
        step: number of the step, counted from 1.
        skipped: numbers of the batches that no step gets, ascending.
    """
    number = step
    for each in skipped:
        number += each <= number
    return number


def batches(
    open_at: Callable[[int], Iterator[Batch]],
    after: int,
    skipped: Sequence[int],
    workers: bool = False,
) -> Generator[Batch, None, None]:
    """The batches of step `after` + 1 and of all later ones.

    Args:
        open_at: function of n that returns the pipeline's stream from batch n on.
        after: number of the last step that was taken.
        skipped: numbers of the batches that no step gets, ascending.
        workers: whether the stream starts processes, at its first batch.
    """
    start = batch_number(after + 1, skipped)
    left_out = set(skipped)
    stream = open_at(start)
    try:
        with shielded() if workers else contextlib.nullcontext():
            first = next(stream)
        for number, batch in enumerate(itertools.chain([first], stream), start):
            if number not in left_out:
                yield batch
    finally:
        if close := getattr(stream, "close", None):
            close()
