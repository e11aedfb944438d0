"""A training whose network is one vector: the loop's own logic, in milliseconds a step."""

import jax
import jax.numpy as jnp
import numpy as np

from bitdiff_jax import config as config_lib
from bitdiff_jax import model_config
from bitdiff_jax.parallel import mesh as mesh_lib
from bitdiff_jax.training.setup import Setup
from bitdiff_jax.training.state import TrainState


def config(**changes):
    c = config_lib.load("base:smoke")
    c.train.update(num_steps=12, batch_size=2, log_every=4, checkpoint_every=3, eval_every=6)
    c.train.update(changes)
    return c


def init():
    params = {"w": jnp.arange(4.0)}
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        ema_params=jax.tree.map(jnp.copy, params),
        opt_state={"mu": jnp.zeros(4)},
    )


def setup(c, *, bad_batches=(), at_step=None, evaluator=None, delay=0):
    """A Setup. A batch in `bad_batches` makes the loss nan; `at_step(n)` runs after step n.

    `delay` makes a step take so many sines.
    """
    alone = jax.process_count() == 1
    mesh = mesh_lib.make_mesh(devices=jax.devices()[:1] if alone else None)
    shardings = jax.tree.map(lambda _: mesh_lib.replicated(mesh), jax.eval_shape(init))

    def step(state, batch, key):
        noise = jax.random.uniform(jax.random.fold_in(key, state.step))
        number = batch["number"][0]
        loss = jnp.sin(number * 1.0) + noise + 1e-2 * jnp.sum(state.params["w"])
        if delay:
            noise = jax.lax.fori_loop(0, delay, lambda _, x: jnp.sin(x), noise)
        for bad in bad_batches:
            loss = jnp.where(number == bad, jnp.nan, loss)
        mu = 0.9 * state.opt_state["mu"] + loss
        params = {"w": state.params["w"] - 0.01 * mu}
        ema = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, state.ema_params, params)
        metrics = {"loss": loss, "grad_norm": jnp.abs(loss)}
        return TrainState(state.step + 1, params, ema, {"mu": mu}), metrics

    compiled = jax.jit(step, donate_argnums=0, out_shardings=(shardings, None))

    def train_step(state, batch, key):
        result = compiled(state, batch, key)
        if at_step:
            at_step(int(result[0].step))
        return result

    def open_batches(number):
        while True:
            yield {"number": np.full(2 // jax.process_count(), number, np.int32)}
            number += 1

    place = lambda leaf, s: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=s)  # noqa: E731
    return Setup(
        config=c,
        mesh=mesh,
        model=model_config.from_config(c),
        abstract_state=jax.tree.map(place, jax.eval_shape(init), shardings),
        init=lambda: jax.jit(init, out_shardings=shardings)(),
        train_step=train_step,
        key=jax.random.key(0),
        open_batches=open_batches,
        sources={},
        about={
            "config": {
                "model": {"net": {"implementation": "auto"}, "palette": {"background": False}}
            },
            "fingerprint": "f",
            "trained_on": "numbers",
        },
        evaluator=evaluator,
    )


class Scores:
    """An evaluator that scores the state's step, and remembers which."""

    def __init__(self, of=lambda step: step / 100, on_image=None):
        self.steps, self._of, self._on_image = [], of, on_image

    def __call__(self, state, progress):
        step = int(state.step)
        for number in (1, 2):
            if self._on_image:
                self._on_image(step, number)
            progress(number)
        self.steps.append(step)
        return {"eval/ari": self._of(step), "eval/iou": 0.5}, np.zeros((4, 4, 3), np.uint8)
