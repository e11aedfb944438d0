"""Computes an image's row from its maps, for maps that were just drawn and for files alike.

The truth has all of its regions, unless a view says otherwise. Metrics are computed with numpy on
the host, so that images of many shapes compile nothing.
"""

import collections
import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NamedTuple, TypeVar

import numpy as np

from bitdiff_jax.data import file_names
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation import image_measures
from bitdiff_jax.evaluation.protocols import View
from bitdiff_jax.evaluation.rows import Row
from bitdiff_jax.metrics import MEASURES, Measure

NUMBERS = ("num_samples", "num_people", "ignored_share")

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Scoring(NamedTuple):
    """The views and measures of an evaluation; picklable if its measures are.

    Attributes:
        views: sizes and rules of the comparisons.
        measures: measures that are computed in each view; the first one ranks images in reports.
    """

    views: tuple[View, ...]
    measures: tuple[Measure, ...] = MEASURES

    def columns(self) -> tuple[str, ...]:
        """Names of a row's values: the numbers of maps, then METRIC@VIEW.

        Raises:
            InputError: one of the measures is not a `Measure`, or two metrics have the same name.
        """
        computed = image_measures.names(self.measures)
        return NUMBERS + tuple(f"{name}@{view.name}" for view in self.views for name in computed)

    def row(self, name: str, samples: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> Row:
        """All metrics of one image; if its maps cannot be compared, the row holds the error.

        Args:
            name: name of the image.
            samples: predictions, int [h, w], of any size.
            labels: maps of the annotators, int [H, W], all of one shape; ids >= 0, -1 = ignore.
        """
        values = numbers(len(samples), labels)
        try:
            for view in self.views:
                values += image_measures.score(samples, labels, view, self.measures).values()
        except InputError as error:
            return error_row(name, error)
        return Row(name, values)


def numbers(num_samples: int, labels: Sequence[np.ndarray]) -> list[float]:
    """The values of `NUMBERS`; `ignored_share` of the truth's pixels is a mean over annotators."""
    ignored = np.mean([np.mean(ids < 0) for ids in labels])
    return [num_samples, len(labels), float(ignored)]


def error_row(name: str, error: object) -> Row:
    """The row of an image that has no metrics, with the reason on one line."""
    return Row(name, error=file_names.as_text(" ".join(str(error).split())))


def in_order(
    function: Callable[[_Item], _Result], items: Iterable[_Item], workers: int
) -> Generator[_Result, None, None]:
    """Maps a function over items by several processes; results come in the order of the items.

    Args:
        function: function of an item, picklable; each process gets it once.
        items: items, picklable if there are workers. They are taken only as fast as results are, so
            that few of them are in memory.
        workers: number of processes beside this one; 0 calls the function in this process.

    Raises:
        InputError: a process was killed, or the function cannot be sent to a process.
    """
    if not workers:
        yield from map(function, items)
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            pickle.dump(function, nowhere)
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        raise InputError(
            f"workers={workers}: what is computed cannot be sent to another process ({error}); "
            "define a measure's function at the top of a module, or use workers=0"
        ) from error
    # Spawned: jax's threads do not survive a fork.
    pool = futures.ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), _start, (function,)
    )
    waiting: collections.deque[futures.Future] = collections.deque()
    try:
        for item in items:
            waiting.append(pool.submit(_call, item))
            if len(waiting) > 3 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise InputError(
            "a scoring process was ended from outside, for want of memory perhaps; use fewer "
            "--workers (what has a row stays)"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_function: Any = None


def _start(function: Any) -> None:
    global _function
    _function = function
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this worker when its parent is gone; if it was killed, workers would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(item: Any) -> Any:
    return _function(item)
