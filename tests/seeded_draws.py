"""All that a seed decides, from a tiny model: `python -m tests.seeded_draws FILE` saves it."""

import sys

import jax
import numpy as np

from bitdiff_jax.diffusion import times
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.diffusion.step_methods import Ddpm
from tests.test_model import batch_of, tiny


def draws() -> dict[str, np.ndarray]:
    """Times, what a training step draws, targets and sampled maps."""
    model = tiny(model__objective__self_condition=0.5, model__palette__layout="none")
    key, batch = jax.random.key(3), batch_of(3)

    def drawn(params, labels, size, image):
        found = {name: draw(key, 3) for name, draw in times.TIMES.items()}
        step = model.draw(key, labels.shape)
        found |= {name: getattr(step, name) for name in ("t", "eps", "keep", "guess")}
        target = model.target(labels, size, step.codes)
        found |= {"x0": target.x0, "loss_mask": target.loss_mask}
        sampler = Sampler(3, 0.5, Ddpm("small"))
        maps = model.sample(params, image, size, jax.random.split(key, 3), sampler)
        return found | maps._asdict()

    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, key)
    params = jax.tree.map(lambda s: np.float32(rng.normal(size=s.shape) * 0.1), shapes)
    arguments = params, batch["labels"], batch["size"], batch["image"]
    return jax.device_get(jax.jit(drawn)(*arguments))


if __name__ == "__main__":
    np.savez(sys.argv[1], **draws())
