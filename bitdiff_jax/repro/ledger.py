"""The rows that the page is made of, in a form small enough to lie in the repository.

A file for each training, a line for each evaluation and seed: of the metrics that claims compare
the value of every scene, in thousandths, in the order of the scenes; of the others the mean.
"""

import dataclasses
import json
import math
import pathlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from bitdiff_jax import files
from bitdiff_jax.errors import InputError
from bitdiff_jax.repro import cost, rows, runner
from bitdiff_jax.repro.arms import Evaluation
from bitdiff_jax.repro.claims import Claim
from bitdiff_jax.repro.verdicts import Lookup

_SCALE = 1000
# The metrics of which each scene's value is kept.
_KEPT = ("ari", "iou", "ari_best", "ari_medoid", "ari_consensus")
_MEANS = (
    "pq", "vi", "regions", "regions_true", "orphans", "seconds", "iou_best", "iou_medoid",
    "iou_consensus", "diversity_rand",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Record:
    """The rows of an evaluation of one seed.

    Attributes:
        evaluation: key of the evaluation, 'TRAINING/NAME'.
        seed: of the training and of what was drawn.
        scenes: values by metric, of each scene, in thousandths; None where there is none.
        means: means over the scenes of the other metrics.
        seconds: processor seconds by what they were spent on, 'train' and 'draw'.
        num_parameters: of the network; None where it is not known.
        failed: why there are no rows, '' where there are: the training's loss became nan or
            infinite.
    """

    evaluation: str
    seed: int
    scenes: Mapping[str, Sequence[int | None]]
    means: Mapping[str, float]
    seconds: Mapping[str, float]
    num_parameters: int | None = None
    failed: str = ""

    @property
    def training(self) -> str:
        """Name of the training."""
        return self.evaluation.partition("/")[0]

    @property
    def num_scenes(self) -> int:
        """Number of scenes."""
        return max((len(each) for each in self.scenes.values()), default=0)


def of_claim(claim: Claim, out: pathlib.Path) -> list[Record]:
    """What a folder of runs has of a claim's arms."""
    return [record for arm in claim.arms.values() for record in _of_arm(arm, out)]


def gather(claims: Iterable[Claim], out: pathlib.Path) -> list[Record]:
    """What a folder of runs has of these claims, each record once."""
    found = {(r.evaluation, r.seed): r for claim in claims for r in of_claim(claim, out)}
    return [found[key] for key in sorted(found)]


def _of_arm(arm: Evaluation, out: pathlib.Path) -> list[Record]:
    found = [
        *(out / arm.training).glob(f"seed_*/{arm.name}/{rows.FILE}"),
        *(out / arm.training).glob(f"seed_*/train/{runner.FAILED}"),
    ]
    seeds = sorted(int(path.parents[1].name.removeprefix("seed_")) for path in found)
    return [record for seed in seeds if (record := _record(arm, out, seed)) is not None]


def _record(arm: Evaluation, out: pathlib.Path, seed: int) -> Record | None:
    """A record; None while scenes are missing."""
    folder = out / arm.training / f"seed_{seed}"
    failed = folder / "train" / runner.FAILED
    if failed.exists():
        spent = {"train": round(cost.seconds(folder / "train")), "draw": 0}
        why = str(files.read_json(failed)["error"]).partition(";")[0]
        return Record(arm.key, seed, {}, {}, spent, failed=why)
    about = files.read_json(folder / arm.name / runner.ABOUT)
    found = sorted(rows.read(folder / arm.name / rows.FILE), key=lambda row: str(row[rows.NAME]))
    if len(found) < about["num_images"]:
        return None
    names = found[0].keys()
    done = folder / "train" / runner.DONE
    return Record(
        arm.key,
        seed,
        {name: _thousandths(rows.column(found, name)) for name in _KEPT if name in names},
        {name: _mean(rows.column(found, name)) for name in _MEANS if name in names},
        {
            "train": round(cost.seconds(folder / "train")),
            "draw": round(cost.seconds(folder / arm.name)),
        },
        files.read_json(done)["num_parameters"] if done.exists() else None,
    )


def _thousandths(values: np.ndarray) -> list[int | None]:
    return [round(v * _SCALE) if math.isfinite(v) else None for v in values]


def _mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(f"{finite.mean():.4g}") if len(finite) else math.nan


def known(
    records: Iterable[Record], evaluations: Iterable[Evaluation]
) -> frozenset[tuple[str, int]]:
    """(key, seed) of the evaluations that records have, of as many scenes as they ask for.

    A training that failed is known as well: it would fail again.
    """
    wanted = {evaluation.key: evaluation.num_images for evaluation in evaluations}
    return frozenset(
        (r.evaluation, r.seed)
        for r in records
        if r.evaluation in wanted and (r.failed or r.num_scenes == wanted[r.evaluation])
    )


def values(records: Iterable[Record]) -> Lookup:
    """The values of the records as `verdicts.judge` takes them; none of a training that failed."""
    found: dict[tuple[str, str], dict[int, dict[str, float]]] = {}
    for record in records:
        if record.failed:
            for metric in _KEPT:
                found.setdefault((record.evaluation, metric), {})[record.seed] = {}
        for metric, of_scenes in record.scenes.items():
            found.setdefault((record.evaluation, metric), {})[record.seed] = {
                str(place): value / _SCALE
                for place, value in enumerate(of_scenes)
                if value is not None
            }
    return found


def write(records: Iterable[Record], folder: pathlib.Path) -> None:
    """Writes the files, one for each training.

    Rows that a folder holds already stay, unless the same evaluation of the same seed is given: a
    ledger may be filled on several machines, one after the other.

    Raises:
        InputError: a file that is there is of another kind.
    """
    by_training: dict[str, list[Record]] = {}
    for record in records:
        by_training.setdefault(record.training, []).append(record)
    files.make_folder(folder, "--to")
    for training, of_one in by_training.items():
        path = folder / f"{training}.jsonl"
        there = _of_file(path) if path.exists() else []
        merged = {(r.evaluation, r.seed): r for r in (*there, *of_one)}
        lines = [
            json.dumps(dataclasses.asdict(merged[key]), separators=(",", ":"))
            for key in sorted(merged)
        ]
        files.write(path, "".join(f"{line}\n" for line in lines).encode())


def read(folder: pathlib.Path) -> list[Record]:
    """The records of a folder's files.

    Raises:
        InputError: a file is of another kind.
    """
    return [record for path in sorted(folder.glob("*.jsonl")) for record in _of_file(path)]


def _of_file(path: pathlib.Path) -> list[Record]:
    try:
        return [Record(**json.loads(line)) for line in files.read_text(path).splitlines()]
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: no rows of `bitdiff repro` ({error}); remove it") from None
