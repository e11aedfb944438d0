"""The location-aware palette: ours against numpy, and its share of a training step.

    python -m benchmarks.against_peers.palette
    python -m benchmarks.against_peers.palette --config base --step_batch_size 2

Label maps are those of procedural scenes with up to 40 regions. numpy's is written as such code
usually is: scipy's centres of mass, a loop with a dictionary, one lookup a pixel; it knows the
released rules (config `paper`) alone, and gives the same codes. Ours runs the batch in one compiled
program. The second table holds `make_target`, palette and bits of one batch, against the whole
training step on that batch.
"""

import argparse
import functools
from typing import Any

import numpy as np

from benchmarks.against_peers import paired, problem
from benchmarks.against_peers.worker import Ready
from bitdiff_jax.errors import InputError

TARGET_MS = 0.22  # an image
RELEASED = ("id", "square", "merge", "greedy")
TARGET_SHARE = 0.01  # of a training step


def by_numpy(label_map: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The codes of one map [S, S] by the released rules: the square as frame, ids in order.

    Args:
        label_map: ids, -1 = ignore.
        table: [L, L], the code of each cell.
    """
    from scipy import ndimage

    side, cells = label_map.shape[0], table.shape[0]
    ids, areas = np.unique(label_map[label_map >= 0], return_counts=True)
    merged = {}
    if len(ids) > table.size:  # the smallest become part of the largest
        order = np.argsort(-areas, kind="stable")
        merged = dict.fromkeys(ids[order[table.size :]].tolist(), int(ids[order[0]]))
        label_map = np.vectorize(lambda name: merged.get(name, name))(label_map)
        ids = np.unique(label_map[label_map >= 0])
    centres = ndimage.center_of_mass(np.ones_like(label_map), label_map, ids)
    free = {(row, column) for row in range(cells) for column in range(cells)}
    codes = {-1: -1}
    for name, centre in zip(ids.tolist(), centres, strict=True):
        q = (np.asarray(centre) + 0.5) / side * cells - 0.5
        cell = (int(np.round(q[0])), int(np.round(q[1])))
        if cell not in free:
            cell = min(sorted(free), key=lambda c: (c[0] - q[0]) ** 2 + (c[1] - q[1]) ** 2)
        free.remove(cell)
        codes[name] = int(table[cell])
    return np.vectorize(codes.__getitem__)(label_map)


def build_numpy(config: str, batch_size: int) -> Ready:
    """A batch, map by map."""
    from bitdiff_jax.encoding import palette

    settings = problem.config(config)
    rules = settings.model.palette
    if (rules.order, rules.frame, rules.excess, rules.choice) != RELEASED:
        raise InputError(f"config {config!r} has other rules than the released; use 'paper'")
    table = palette.table(rules.layout, 1 << settings.model.num_bits, rules.seed)
    labels = problem.batch(batch_size, settings.model.image_size).labels
    return Ready(lambda: [by_numpy(label_map, table) for label_map in labels])


def build_ours(config: str, batch_size: int) -> Ready:
    """A batch in one program, from the host's maps to codes on the device."""
    import jax

    from benchmarks.against_peers import jax_programs

    _, model, data = jax_programs.start(config, batch_size)
    rules, num_codes = model.palette, model.encoding.num_codes
    mask = np.ones(data.labels.shape, bool)
    assign = functools.partial(rules.assign, num_codes=num_codes, key=None)
    program = jax.jit(jax.vmap(lambda labels, valid: assign(labels, valid).codes))
    regions = np.mean([len(np.unique(label_map)) for label_map in data.labels])
    return Ready(
        lambda: jax.block_until_ready(program(data.labels, mask)), f"{regions:.0f} regions a map"
    )


def build_target(config: str, batch_size: int) -> Ready:
    """x0, its mask and all else that a step makes of label maps."""
    import jax

    from benchmarks.against_peers import jax_programs

    _, model, data = jax_programs.start(config, batch_size)
    program = jax.jit(lambda labels, size: model.target(labels, size, jax.random.key(0)))
    labels, size = jax.device_put((data.labels, data.size))
    return Ready(lambda: jax.block_until_ready(program(labels, size)))


def main() -> None:
    """Reads the flags, measures, writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--config", default="paper", help="whose rules and step (paper)")
    add("--batch_size", type=int, default=64, help="maps of the first table (64)")
    add("--step_batch_size", type=int, nargs="*", default=[2], help="of the steps (2)")
    paired.add_options(parser, rounds=7)
    args = parser.parse_args()
    results: list[Any] = []

    shared = {"config": args.config, "batch_size": args.batch_size}
    peers = [paired.Peer("ours", "benchmarks.against_peers.palette:build_ours", shared)]
    if args.config == "paper":
        peers.append(paired.Peer("numpy", "benchmarks.against_peers.palette:build_numpy", shared))
    title = f"palette, {args.config}, {args.batch_size} maps; ours wanted: {TARGET_MS} ms an image"
    scale = 1e3 / args.batch_size
    results.append(paired.compare(title, peers, args, scale=scale, unit="ms an image"))
    paired.write(args.json, results)

    for batch_size in args.step_batch_size:
        shared = {"config": args.config, "batch_size": batch_size}
        peers = [
            paired.Peer("palette, bits", "benchmarks.against_peers.palette:build_target", shared),
            paired.Peer(
                "whole step", "benchmarks.against_peers.jax_programs:build_train_step", shared
            ),
        ]
        title = f"share of a training step, {args.config}, batch {batch_size}"
        results.append(paired.compare(title, peers, args, scale=1e3, target=TARGET_SHARE))
        paired.write(args.json, results)


if __name__ == "__main__":
    paired.run(main)
