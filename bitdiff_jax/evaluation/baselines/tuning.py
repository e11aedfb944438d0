"""Settings of a method chosen on training pictures, and kept in a file.

`parameters.json` ships with the package: set of pictures -> what it is, at which size, and for each
method its settings and on how many pictures they were chosen.
`benchmarks/quality/classical.py --keep NAME` writes entries.
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
    """A picture at the size of scoring, and its truths at their own."""

    name: str
    image: np.ndarray  # uint8 [h, w, 3]
    labels: tuple[np.ndarray, ...]  # int32 [H, W] of each person


class Scores(NamedTuple):
    """Figures of one picture, means over its people; NaN where no one labelled a pixel."""

    ari: float
    iou: float  # after the best matching, mean over the truth's regions
    regions: float  # that were found


def score(ids: np.ndarray, labels: Sequence[np.ndarray], size: int) -> Scores:
    """Scores one map, as `image_measures.score` does; these alone take a tenth of its time.

    Args:
        ids: int [h, w].
        labels: each person's int [H, W], all of one shape; -1 = ignore.
        size: longest side at which they are compared.
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
    """The figures of a method on each picture, at the size of the picture."""
    return [
        score(segment(each.image, name, **settings), each.labels, max(each.image.shape[:2]))
        for each in images
    ]


def tune(
    name: str,
    images: Sequence[LabelledImage],
    metric: Callable[[Sequence[Scores]], float] | None = None,
) -> dict[str, Any]:
    """The settings of a method's grid with the highest figure on pictures to tune on.

    Args:
        name: one of `METHODS`.
        images: not those that are scored later.
        metric: of the rows, higher is better; None for the mean ARI, without pictures that no one
            labelled.

    Returns:
        The settings; the first ones of equals.
    """
    candidates = list(METHODS[name].settings())
    if len(candidates) == 1:
        return candidates[0]
    # Scoring brings truths to this size anyway, for each candidate anew.
    images = [each._replace(labels=_at_size(each)) for each in images]
    value = metric or _mean_ari
    return max(candidates, key=lambda each: value(rows_of(name, images, **each)))


def kept(tuned_on: str) -> dict[str, dict[str, Any]]:
    """Method -> its settings, as tuned on a set of pictures of `parameters.json`.

    Raises:
        InputError: there is no such set.
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
        tuned_on: name of the set.
        settings: method -> settings.
        num_images: that they were chosen on.
        about: the rest of what they were tuned on: spec and size.
        path: the file.
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


def _at_size(picture: LabelledImage) -> tuple[np.ndarray, ...]:
    shape = picture.image.shape[:2]
    return tuple(labelmaps.at_centres(each, shape) for each in picture.labels)


def _mean_ari(rows: Sequence[Scores]) -> float:
    values = np.array([row.ari for row in rows])
    return float(np.nanmean(values)) if np.isfinite(values).any() else -np.inf
