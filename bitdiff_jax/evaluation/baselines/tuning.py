"""Chooses the settings of a method on training images, and keeps them in a file.

`parameters.json` is part of the package. For each set of images it says what the set is, at which
size maps are compared, and for each method its settings and the number of images that they were
chosen on. `benchmarks/quality/classical.py --keep NAME` writes entries.
"""

import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bitdiff_jax import files, metrics
from bitdiff_jax.data import labelmaps
from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.baselines.methods import METHODS, segment
from bitdiff_jax.evaluation.host_contingency import contingency
from bitdiff_jax.evaluation.protocols import View

KEPT = pathlib.Path(__file__).with_name("parameters.json")


class LabelledImage(NamedTuple):
    """An image at the size of scoring, and its truths at their own size."""

    name: str
    image: np.ndarray  # uint8 [h, w, 3]
    labels: tuple[np.ndarray, ...]  # int32 [H, W] of each annotator


class Scores(NamedTuple):
    """Metrics of one image, means over its annotators; NaN where no one labelled a pixel."""

    ari: float
    iou: float  # IoU after the best matching, mean over the truth's regions
    regions: float  # number of predicted regions


def score(ids: np.ndarray, labels: Sequence[np.ndarray], size: int) -> Scores:
    """Scores one map like `image_measures.score`, with few metrics and in a tenth of its time.

    Args:
        ids: the map, int [h, w].
        labels: maps of the annotators, int [H, W], all of one shape; -1 = ignore.
        size: longest side, in pixels, at which they are compared.
    """
    view = View("tuning", size)
    pred = view.prediction(ids, labels[0].shape)
    truths = [truth for each in labels if ((truth := view.truth(each)) >= 0).any()]
    regions = float(pred.max() + 1)
    if not truths:
        return Scores(np.nan, np.nan, regions)
    tables = [contingency(pred, truth) for truth in truths]
    both = metrics.adjusted_rand_index_from_table, metrics.hungarian_iou_from_table
    ari, iou = (float(np.mean([metric(table) for table in tables])) for metric in both)
    return Scores(ari, iou, regions)


def rows_of(name: str, images: Sequence[LabelledImage], **settings: Any) -> list[Scores]:
    """The scores of a method on each image, at the size of the image."""
    return [
        score(segment(each.image, name, **settings), each.labels, max(each.image.shape[:2]))
        for each in images
    ]


def tune(
    name: str,
    images: Sequence[LabelledImage],
    metric: Callable[[Sequence[Scores]], float] | None = None,
) -> dict[str, Any]:
    """The settings of a method's grid with the highest metric on images to tune on.

    Args:
        name: name of the method, a key of `METHODS`.
        images: the images to tune on, which should not be those that are scored later.
        metric: function of the scores of all images, higher is better; None for the mean ARI,
            without images that no one labelled.

    Returns:
        The best settings; the first ones of equals.
    """
    candidates = list(METHODS[name].settings())
    if len(candidates) == 1:
        return candidates[0]
    # Scoring would bring truths to this size for each candidate anew.
    images = [each._replace(labels=_at_size(each)) for each in images]
    value = metric or _mean_ari
    return max(candidates, key=lambda each: value(rows_of(name, images, **each)))


def kept(tuned_on: str) -> dict[str, dict[str, Any]]:
    """The settings of each method by its name, as tuned on a set of images of `parameters.json`.

    Raises:
        InputError: the file has no such set.
    """
    known = _read()
    if tuned_on not in known:
        raise InputError(
            f"no settings tuned on {tuned_on!r} are kept; there are: {', '.join(known)}"
        )
    return known[tuned_on]["settings"]


def keep(
    tuned_on: str,
    settings: Mapping[str, Mapping[str, Any]],
    num_images: int,
    about: Mapping[str, Any],
    path: pathlib.Path = KEPT,
) -> None:
    """Writes settings into `parameters.json`; other methods of the set, and other sets, stay.

    Args:
        tuned_on: name of the set of images.
        settings: settings of each method by its name.
        num_images: number of images that they were chosen on.
        about: spec of the set of images, and the size at which maps were compared.
        path: the file to write.
    """
    known = _read(path) if path.exists() else {}
    before = {"pictures": {}, "settings": {}, **known.get(tuned_on, {})}
    known[tuned_on] = {
        **about,
        "pictures": {**before["pictures"], **dict.fromkeys(settings, num_images)},
        "settings": {**before["settings"], **settings},
    }
    files.write(path, (json.dumps(known, indent=2) + "\n").encode())


def _read(path: pathlib.Path = KEPT) -> dict[str, Any]:
    return json.loads(path.read_text())


def _at_size(image: LabelledImage) -> tuple[np.ndarray, ...]:
    shape = image.image.shape[:2]
    return tuple(labelmaps.at_centres(each, shape) for each in image.labels)


def _mean_ari(rows: Sequence[Scores]) -> float:
    values = np.array([row.ari for row in rows])
    return float(np.nanmean(values)) if np.isfinite(values).any() else -np.inf
