"""Trains and scores what claims need, each once; stopped at any moment, it goes on from there.

OUT/TRAINING/seed_S/train/       the workdir of the training, done.json once it has ended
OUT/TRAINING/seed_S/EVALUATION/  rows.jsonl, a line a scene; about.json, what was drawn
"""

import dataclasses
import gc
import json
import pathlib
import time
import traceback
from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from bitdiff_jax import files
from bitdiff_jax.data import specs
from bitdiff_jax.diffusion import sampler as sampler_lib
from bitdiff_jax.errors import InputError, Interrupted
from bitdiff_jax.inference import drawing, loading
from bitdiff_jax.inference.request import Request
from bitdiff_jax.parallel import mesh as mesh_lib
from bitdiff_jax.repro import cost, rows, scoring
from bitdiff_jax.repro.arms import Evaluation, Training, held_out
from bitdiff_jax.repro.deadline import Deadline, OutOfTime
from bitdiff_jax.repro.trainings import TRAININGS
from bitdiff_jax.training import loop
from bitdiff_jax.training.trouble import NonFinite

# Scenes that are drawn at once, after which their rows are written.
_BATCH = 50
DONE, FAILED, ABOUT = "done.json", "failed.json", "about.json"


@dataclasses.dataclass(frozen=True)
class Runner:
    """Where results lie and how they are made.

    Attributes:
        out: the folder.
        base: name of the config that trainings change.
        num_images: number of held-out scenes; None for what each evaluation says.
        known: (key, seed) of evaluations whose rows lie elsewhere, which are not made again.
        deadline: when to stop.
        tell: takes a line about what is done.
    """

    out: pathlib.Path
    base: str = "repro"
    num_images: int | None = None
    known: Collection[tuple[str, int]] = ()
    deadline: Deadline = dataclasses.field(default_factory=lambda: Deadline(None))
    tell: Callable[[str], None] = print

    def run(self, evaluations: Sequence[Evaluation], num_seeds: int) -> int:
        """Makes all rows that are missing, a seed of everything before the next seed.

        An evaluation that fails is told, and the others go on.

        Returns:
            The number of evaluations that failed.

        Raises:
            OutOfTime: the deadline came; what was done is saved.
            Interrupted: a signal came during a training, which is saved.
        """
        failed = 0
        for seed in range(num_seeds):
            for number, evaluation in enumerate(evaluations, 1):
                self.deadline.check()
                if (evaluation.key, seed) in self.known:
                    continue
                self.tell(f"seed {seed}, {number} of {len(evaluations)}: {evaluation.key}")
                try:
                    self.make(evaluation, seed)
                except (OutOfTime, Interrupted):
                    raise
                except InputError as error:
                    failed += 1
                    self.tell(f"  {evaluation.key}: {error}")
                except Exception:
                    failed += 1
                    self.tell(f"  {evaluation.key}: {traceback.format_exc()}")
        return failed

    def make(self, evaluation: Evaluation, seed: int) -> None:
        """The rows of an evaluation, and before them the trainings that it needs."""
        training = TRAININGS[evaluation.training]
        members = range(seed, seed + evaluation.members)
        if all([self.train(training, each) for each in members]):
            self.evaluate(evaluation, seed)

    def folder(self, training: str, seed: int) -> pathlib.Path:
        """The folder of a training and of its evaluations."""
        return self.out / training / f"seed_{seed}"

    def train(self, training: Training, seed: int) -> bool:
        """Trains unless that is done; False if the training cannot be finished.

        A loss that is no longer finite is kept as `failed.json` and not tried again.
        """
        folder = self.folder(training.name, seed) / "train"
        _same(folder / ABOUT, {"base": self.base, "seed": seed, **_plain(training)})
        if (folder / DONE).exists():
            return True
        if (folder / FAILED).exists():
            self.tell(f"  {training.name}: {files.read_json(folder / FAILED)['error']}")
            return False
        config = training.config(self.base, seed)
        try:
            with cost.counted(folder), self.deadline.signalled():
                num_parameters = _train(training, config, folder)
        except Interrupted:
            self.deadline.check()
            raise
        except InputError as error:
            if not isinstance(error.__cause__, NonFinite):
                raise
            _write(folder / FAILED, {"error": str(error)})
            self.tell(f"  {training.name}: {error}")
            return False
        finally:
            _forget()
        _write(
            folder / DONE, {"num_steps": config.train.num_steps, "num_parameters": num_parameters}
        )
        return True

    def evaluate(self, evaluation: Evaluation, seed: int) -> None:
        """Draws and scores the scenes that have no row yet."""
        training = TRAININGS[evaluation.training]
        num_images = self.num_images or evaluation.num_images
        folder = self.folder(training.name, seed) / evaluation.name
        _same(folder / ABOUT, {**_plain(evaluation), "num_images": num_images})
        path = folder / rows.FILE
        done = {row[rows.NAME] for row in rows.read(path)}
        if len(done) >= num_images:
            return
        config = training.config(self.base, seed)
        source = specs.open_source(held_out(config, num_images), image_size=config.model.image_size)
        items = [source[i] for i in range(num_images)]
        left = [item for item in items if item["name"] not in done]
        with cost.counted(folder):
            draw = self._drawer(evaluation, config, seed)
            draw(left[:1])  # compiles, so that no scene's seconds hold it
            for start in range(0, len(left), _BATCH):
                self.deadline.check()
                batch = left[start : start + _BATCH]
                began = time.process_time()
                maps = draw(batch)
                seconds = (time.process_time() - began) / len(batch)
                rows.append(
                    path,
                    (
                        {
                            rows.NAME: item["name"],
                            **scoring.score(samples, item["labels"][0]),
                            "seconds": seconds,
                        }
                        for item, samples in zip(batch, maps, strict=True)
                    ),
                )
        _forget()

    def _drawer(
        self, evaluation: Evaluation, config: ml_collections.ConfigDict, seed: int
    ) -> Callable[[Sequence[dict[str, Any]]], list[np.ndarray]]:
        """A function that draws the maps of scenes, int [num_samples, h, w] of each."""
        workdirs = [
            self.folder(evaluation.training, seed + i) / "train" for i in range(evaluation.members)
        ]
        config.sampling.update(evaluation.sampling)
        request = Request(evaluation.num_samples, seed, _BATCH, min_area=0, edges="nearest")
        own = TRAININGS[evaluation.training].own_model(config)
        mesh = mesh_lib.make_mesh()
        sampler = sampler_lib.from_settings(config.sampling)
        models = [
            loading.load_checkpoint(each, config.sampling.weights, mesh=mesh, model=own)
            for each in workdirs
        ]

        def draw(scenes: Sequence[dict[str, Any]]) -> list[np.ndarray]:
            items = [drawing.Item(each["name"], each["image"], each["labels"]) for each in scenes]
            drawn = [
                list(drawing.draw(each.model, each.params, items, sampler, request, mesh=mesh))
                for each in models
            ]
            if len(models) == 1:
                return [each.codes for each in drawn[0]]
            encoding = models[0].model.encoding
            return [
                np.asarray(encoding.decode(jnp.asarray(np.mean([d.x0 for d in of_one], 0, "f4"))))
                for of_one in zip(*drawn, strict=True)
            ]

        return draw


def _train(training: Training, config: ml_collections.ConfigDict, folder: pathlib.Path) -> int:
    """Trains, or goes on, to the end; returns the number of parameters."""
    state = loop.train(config, folder, model=training.own_model(config))
    return sum(leaf.size for leaf in jax.tree.leaves(state.params))


def _forget() -> None:
    """Frees the compiled programs, of which every arm has its own."""
    jax.clear_caches()
    gc.collect()


def _plain(value: Any) -> dict[str, Any]:
    """A training or an evaluation as values for JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(value)))
    return plain


def _write(path: pathlib.Path, value: Any) -> None:
    files.write(path, f"{json.dumps(value)}\n".encode())


def _same(path: pathlib.Path, about: dict[str, Any]) -> None:
    """Keeps what a folder is of, or checks that it is of the same.

    Raises:
        InputError: it holds results of other settings.
    """
    if not path.exists():
        files.make_folder(path.parent, "--out")
        _write(path, about)
        return
    found = files.read_json(path)
    differing = sorted(key for key in {*about, *found} if about.get(key) != found.get(key))
    if differing:
        raise InputError(
            f"{path.parent}: holds results of other settings ({', '.join(differing)}); name "
            "another --out, or remove the folder"
        )
