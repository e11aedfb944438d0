"""Small models that differ by one switch of their training, for the study of steps.

    python -m benchmarks.quality.step_checkpoints plain runs/plain
    python -m benchmarks.quality.sampling_steps --rows scenes.jsonl --checkpoint runs/plain \
        --data benchmarks.quality.step_checkpoints:Oblong,seed=1 --num_images 1000

The scenes are those of level 2, cut to three quarters of their width, so that there is padding.
A training takes two to five minutes of one core.
"""

import argparse
import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections

from bitdiff_jax import config_files, model_config
from bitdiff_jax.data.resident import Resident
from bitdiff_jax.diffusion.parameterization import expand, to_x0
from bitdiff_jax.model import Model, valid_mask
from bitdiff_jax.parallel import compilation_cache
from bitdiff_jax.scenes import SceneSource
from bitdiff_jax.training import train
from bitdiff_jax.training_loss import Draws, RowLosses

SIDE, WIDTH, NUM_SCENES = 32, 24, 4000
SWITCHES: dict[str, dict[str, Any]] = {
    "plain": {},
    "self_conditioned": {"model.objective.self_condition": 0.9},
    "recycled": {},
    "padding_as_released": {"model.objective.padding": "as_released", "data.label_padding": 0},
}


class Oblong:
    """Scenes of level 2, 32 pixels high and 24 wide."""

    def __init__(self, seed: str = "0", length: str = "1000"):
        self._scenes = SceneSource(level=2, size=SIDE, seed=int(seed), length=int(length))

    def __len__(self) -> int:
        return len(self._scenes)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The left part of a scene."""
        item = self._scenes[index]
        cut = tuple(each[:, :WIDTH].copy() for each in item["labels"])
        return {**item, "image": item["image"][:, :WIDTH].copy(), "labels": cut}


class Recycled(Model):
    """Trains from x_t of the network's own guess of x0 at t = 1 (recycling, arXiv 2308.16355)."""

    def row_losses(self, params: Any, batch: dict[str, jax.Array], draws: Draws) -> RowLosses:
        """See `Model.row_losses`; what x0 has instead of the guess is moved into eps."""
        x0 = self.target(batch["labels"], batch["size"], draws.codes).x0
        valid = valid_mask(batch["size"], batch["labels"].shape[1:])
        cond = self.encode_image(params, batch["image"], valid)
        end = jnp.ones_like(draws.t)
        alpha, sigma = (expand(f(end), x0) for f in (self.schedule.alpha, self.schedule.sigma))
        noise = jnp.flip(draws.eps, 0)  # another row's
        output = self.apply(params, noise, end, cond)
        guess = jnp.clip(to_x0(output, noise, alpha, sigma, self.prediction), -1, 1)
        guess = jnp.where(valid[..., None], jax.lax.stop_gradient(guess), x0)
        alpha, sigma = (expand(f(draws.t), x0) for f in (self.schedule.alpha, self.schedule.sigma))
        return super().row_losses(
            params, batch, draws._replace(eps=draws.eps + alpha / sigma * (guess - x0))
        )


def config_of(switch: str, num_steps: int) -> ml_collections.ConfigDict:
    """The config `quickstart` with larger patches, and the switch."""
    config = config_files.load("quickstart")
    config.model.net.patch_size = 4
    config.optimizer.decay_steps = num_steps // 2
    config.data.keep_scale = 0
    config.data.augment = "geometry"
    config.train.num_steps = num_steps
    config.train.checkpoint_every = num_steps
    config.train.eval_every = 0
    config.eval.data = ""
    config.mesh.cpu_devices = 1
    config.update_from_flattened_dict(SWITCHES[switch])
    return config


def model_of(weights: str) -> Model | None:
    """The model that the config of a training describes; None for weights that are no training.

    The switches are of training alone, so it draws what any of these trainings learnt.
    """
    path = pathlib.Path(weights) / "config.json"
    if not path.exists():
        return None
    return model_config.from_config(ml_collections.ConfigDict(json.loads(path.read_text())))


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags, trains."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("switch", choices=SWITCHES)
    add("workdir")
    add("--num_steps", type=int, default=560, help="steps of 32 scenes (560)")
    args = parser.parse_args(argv)
    compilation_cache.enable()
    config = config_of(args.switch, args.num_steps)
    model = None
    if args.switch == "recycled":
        plain = model_config.from_config(config)
        model = Recycled(**{f.name: getattr(plain, f.name) for f in dataclasses.fields(plain)})
    scenes = Resident(Oblong(length=str(NUM_SCENES)), SIDE)
    train(config, args.workdir, model=model, sources={"scenes": scenes})


if __name__ == "__main__":
    main()
