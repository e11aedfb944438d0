"""Short trainings on meshes of fake devices; run as a program, alone or as one of two processes.

python -m tests.parallel.training_runs OUT [PROCESS_ID PORT]
"""

import functools
import json
import pathlib
import re
import sys
import time

import jax
import numpy as np

from bitdiff_jax import config as config_lib
from bitdiff_jax import model_config
from bitdiff_jax.parallel import hosts, partition_rules
from bitdiff_jax.parallel import mesh as mesh_lib
from bitdiff_jax.training.optimizer import make_optimizer
from bitdiff_jax.training.state import init_state
from bitdiff_jax.training.step import make_train_step

STEPS, ROWS, SIDE = 8, 16, 8
COLLECTIVE = re.compile(
    r" (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\("
)


def tiny(**changes):
    """A net with tensors both sides of the 64 KB from which they are split."""
    config = config_lib.load("base:smoke")
    config.model.image_size = SIDE
    config.model.num_bits = 4
    config.model.palette.max_regions = 8
    config.model.palette.layout = "none"  # codes are drawn too
    config.model.net.base_channels = 32
    config.model.net.channel_multipliers = (1,)
    config.train.num_steps = 100
    config.train.batch_size = ROWS
    for path, value in changes.items():
        with config.ignore_type():
            config.update_from_flattened_dict({path.replace("__", "."): value})
    return config


def batch_of(step, block=0, count=1):
    """The rows of one process, of a batch that is a function of its number."""
    rng = np.random.default_rng(step)
    labels = np.kron(rng.integers(0, 5, (ROWS, 4, 4)), np.ones((2, 2), int)).astype(np.int32)
    size = rng.integers(5, SIDE + 1, (ROWS, 2)).astype(np.int32)
    inside = (np.arange(SIDE)[:, None] < size[:, :1, None]) & (np.arange(SIDE) < size[:, 1:, None])
    batch = {
        "image": rng.integers(0, 256, (ROWS, SIDE, SIDE, 3), dtype=np.uint8),
        "labels": np.where(inside, labels, -1).astype(np.int32),
        "size": size,
    }
    rows = slice(block * ROWS // count, (block + 1) * ROWS // count)
    return {name: value[rows] for name, value in batch.items()}


def start(shapes, shardings):
    """Noise for parameters, zeros for Adam; `init` takes long to compile."""
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda s: np.float32(rng.normal(size=s.shape) * 0.05), shapes.params)
    zeros = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), shapes)
    return jax.tree.map(
        lambda x, sharding: jax.make_array_from_callback(x.shape, sharding, x.__getitem__),
        zeros.replace(params=params, ema_params=params),
        shardings,
    )


class Run:
    """A training that has been set up: its state, its compiled step."""

    def __init__(self, mesh, **changes):
        config = tiny(**changes)
        model, tx = model_config.from_config(config), make_optimizer(config)
        init = functools.partial(init_state, model, tx)
        shapes = jax.eval_shape(init, jax.random.key(0))
        self.mesh = mesh
        self.shardings = partition_rules.shardings(
            shapes, partition_rules.rules_from_config(config.mesh), mesh
        )
        self.state = start(shapes, self.shardings)
        self.key = jax.random.key(1)
        step = make_train_step(
            model, tx, ema_decay=0.999, ema_warmup=True, mesh=mesh,
            state_shardings=self.shardings, accumulate=config.train.accumulate,
        )  # fmt: skip
        self.step = step.lower(self.state, self.batch(0), self.key).compile()

    def batch(self, step):
        rows = batch_of(step, *mesh_lib.process_block(self.mesh))
        with jax.transfer_guard("disallow"):  # what `telemetry.transfer_guard` may ask for
            return mesh_lib.to_global(rows, self.mesh)

    def losses(self, steps=STEPS):
        losses = []
        for i in range(steps):
            self.state, metrics = self.step(self.state, self.batch(i), self.key)
            losses.append({name: float(value) for name, value in metrics.items()})
        return losses


def collectives(text):
    """(all, inside loops) of a compiled program's collectives, as lists of names."""
    bodies, calls = {}, {}
    name = None
    for line in text.splitlines():
        if start := re.match(r"(?:ENTRY )?%?([\w.\-]+) (?:\(.*\) -> .*)?\{$", line):
            name = start[1]
            bodies[name], calls[name] = [], set()
        elif name:
            bodies[name] += COLLECTIVE.findall(line)
            calls[name] |= set(
                re.findall(
                    r"(?:body|condition|calls|to_apply|branch_computations)=\{?%?([\w.\-]+)", line
                )
            )
    loops = set(re.findall(r"body=%?([\w.\-]+)", text))
    inside, todo = set(), list(loops)
    while todo:
        if (one := todo.pop()) not in inside:
            inside.add(one)
            todo += calls.get(one, ())
    assert loops <= bodies.keys()
    return (
        [c for found in bodies.values() for c in found],
        [c for one in inside for c in bodies.get(one, ())],
    )


def main(out, process_id=None, port=None):
    start = time.monotonic()
    result = {}
    if process_id is None:
        devices = jax.devices()
        result["one"] = Run(mesh_lib.make_mesh(devices=devices[:1])).losses()
        result["eight"] = Run(mesh_lib.make_mesh()).losses()
        parts = Run(mesh_lib.make_mesh(), train__accumulate=2)
        result["accumulate"] = parts.losses(2)  # a CPU is slow at convolutions in loops
        result["collectives"] = collectives(parts.step.as_text())
        fsdp = Run(mesh_lib.make_mesh(data=4, fsdp=2))
        result["fsdp"] = fsdp.losses()
        result["fsdp_collectives"] = collectives(fsdp.step.as_text())
        muon = {"optimizer__name": "muon"}
        result["muon"] = Run(mesh_lib.make_mesh(devices=devices[:1]), **muon).losses(4)
        result["muon_fsdp"] = Run(mesh_lib.make_mesh(data=4, fsdp=2), **muon).losses(4)
        result["bytes"] = [
            partition_rules.bytes_per_device(fsdp.state, fsdp.shardings),
            sum(x.addressable_shards[0].data.nbytes for x in jax.tree.leaves(fsdp.state)),
            sum(x.nbytes for x in jax.tree.leaves(fsdp.state)),
        ]
    else:
        settings = hosts.Settings(
            coordinator=f"127.0.0.1:{port}",
            num_processes=2,
            process_id=int(process_id),
            start_timeout=120,
        )
        hosts.initialize(settings)
        assert (jax.process_count(), jax.device_count()) == (2, 8)
        # Split over both processes: parameters are gathered and gradients scattered between them.
        result["processes"] = Run(mesh_lib.make_mesh(data=1, fsdp=8)).losses()
    result["seconds"] = time.monotonic() - start
    pathlib.Path(out).write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
