"""How regions choose their cells of the palette: one after the other, or all at once.

For each setting of `encoding.palette.assign`, over the label maps of a source:

    displaced   share of regions whose cell is not the one that their centroid lies in
    distance    root mean square of the distance between centroid and cell, in cells
    shift       share of regions whose code changes when the picture moves by so many pixels
    one gone    share of the other regions whose code changes when one region, drawn at random,
                becomes 'ignore'
    CPU ms      processor time a map, compiled, in batches; comparable on one machine only

The row 'own cell, shared' is the bound: what the grid alone does, if several regions could have one
cell.

    python benchmarks/quality/palette_choice.py
    python benchmarks/quality/palette_choice.py --data folder:DIR,split=train,zero=region --size 128
"""

import argparse
import functools
import itertools
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bitdiff_jax.data import specs, transforms
from bitdiff_jax.encoding import cells, palette, regions


class Setting(NamedTuple):
    """A row of the table; `choice` 'own' lets regions share a cell."""

    choice: str
    order: palette.Order
    frame: palette.Frame

    def __str__(self) -> str:
        order = f"by {self.order}, " if self.choice == "greedy" else ""
        name = "own cell, shared" if self.choice == "own" else self.choice
        return f"{name}, {order}{self.frame}"


SETTINGS = [
    Setting("own", "id", "square"),
    Setting("greedy", "id", "square"),
    Setting("greedy", "area", "square"),
    Setting("optimal", "area", "square"),
    Setting("own", "id", "valid"),
    Setting("greedy", "id", "valid"),
    Setting("greedy", "area", "valid"),
    Setting("optimal", "area", "valid"),
]


class Chosen(NamedTuple):
    """What each region got."""

    code: jax.Array  # int32 [..., max_regions], -1 for none
    displaced: jax.Array  # bool [..., max_regions]
    squared: jax.Array  # float32 [..., max_regions], squared distance in cells


def choose(
    label_map: jax.Array, size: jax.Array, *, table: np.ndarray, setting: Setting, max_regions: int
) -> Chosen:
    """One padded map [S, S] with its content's (h, w)."""
    side = label_map.shape[0]
    grid = (table.shape[0], table.shape[1])
    mask = (jnp.arange(side)[:, None] < size[0]) & (jnp.arange(side) < size[1])
    ids = jnp.where(mask & (label_map >= 0), label_map, max_regions)
    measured = regions.measure(ids, max_regions)
    q = cells.coordinates(measured, mask, grid, setting.frame)
    own_code = jnp.asarray(table.ravel())[cells.own(*q, grid)]
    if setting.choice == "own":
        code = jnp.where(measured.area > 0, own_code, -1)
    else:
        code = palette.assign(
            label_map,
            table,
            max_regions=max_regions,
            order=setting.order,
            frame=setting.frame,
            excess="ignore",
            choice=setting.choice,  # type: ignore[arg-type]
            mask=mask,
        ).region_codes
    cell = jnp.asarray(np.argsort(table.ravel()))[code]
    squared = jnp.square(q[0] - cell // grid[1]) + jnp.square(q[1] - cell % grid[1])
    return Chosen(code, (code >= 0) & (code != own_code), squared)


def padded(maps: list[np.ndarray], side: int) -> tuple[np.ndarray, np.ndarray]:
    """Maps of any size as [N, S, S], and their sizes."""
    labels = np.stack([transforms.pad_to_square(m, side, -1) for m in maps])
    return labels, np.array([m.shape for m in maps], np.int32)


def moved(maps: list[np.ndarray], rows: int, columns: int) -> list[list[np.ndarray]]:
    """Two windows of each map, the second so many pixels further down and to the right."""
    before = [m[: m.shape[0] - rows, : m.shape[1] - columns] for m in maps]
    after = [m[rows:, columns:] for m in maps]
    return [before, after]


def without_one(maps: list[np.ndarray]) -> list[np.ndarray]:
    """Each map with one region, drawn at random, set to ignore."""
    rng = np.random.default_rng(0)
    return [np.where(m == rng.integers(m.max() + 1), -1, m) for m in maps]


class Row:
    """The figures of one setting."""

    def __init__(self, setting: Setting, args: argparse.Namespace, max_regions: int):
        table = palette.table(args.layout, args.num_codes)
        one = functools.partial(choose, table=table, setting=setting, max_regions=max_regions)
        self._program = jax.jit(jax.vmap(one))
        self._side, self._batch_size = args.size, args.batch_size

    def run(self, maps: list[np.ndarray]) -> Chosen:
        """Every map, in batches of one shape."""
        parts = []
        for start in range(0, len(maps), self._batch_size):
            batch = maps[start : start + self._batch_size]
            missing = self._batch_size - len(batch)
            part = self._program(*padded(batch + batch[:1] * missing, self._side))
            parts.append(jax.tree.map(lambda x: np.asarray(x)[: len(batch)], part))  # noqa: B023
        return jax.tree.map(lambda *x: np.concatenate(x), *parts)

    def changed(self, before: list[np.ndarray], after: list[np.ndarray]) -> float:
        """Share of the regions that have a code in both whose code differs."""
        first, second = self.run(before).code, self.run(after).code
        both = (first >= 0) & (second >= 0)
        return float(((first != second) & both).sum() / both.sum())

    def metrics(self, maps: list[np.ndarray], shifts: list[int]) -> dict[str, float]:
        """All columns."""
        chosen = self.run(maps)
        coded = chosen.code >= 0
        result: dict[str, float] = {
            "displaced": float(chosen.displaced.sum() / coded.sum()),
            "distance": float(np.sqrt(chosen.squared[coded].mean())),
        }
        for d in shifts:
            directions = ((d, 0), (0, d), (d, d))
            shares = [self.changed(*moved(maps, *direction)) for direction in directions]
            result[f"shift {d}"] = float(np.mean(shares))
        result["one gone"] = self.changed(maps, without_one(maps))
        result["CPU ms"] = self.milliseconds(maps)
        return result

    def milliseconds(self, maps: list[np.ndarray]) -> float:
        """Processor time a map of one batch, the least of five runs."""
        batch = list(itertools.islice(itertools.cycle(maps), self._batch_size))
        labels, sizes = map(jnp.asarray, padded(batch, self._side))
        times = []
        for _ in range(5):
            start = time.process_time()
            jax.block_until_ready(self._program(labels, sizes))
            times.append(time.process_time() - start)
        return min(times) * 1000 / self._batch_size


def label_maps(args: argparse.Namespace) -> list[np.ndarray]:
    """Every person's map of the first pictures, brought to the size, ids 0..n-1."""
    source: Any = specs.open_source(args.data, image_size=args.size)
    maps = []
    for i in range(min(args.num_images, len(source))):
        for labels in source[i]["labels"]:
            shape = transforms.resized_shape(labels.shape[0], labels.shape[1], args.size)
            maps.append(transforms.compact(transforms.resize_labels(labels, shape, "majority"))[0])
    return maps


def main() -> None:
    """Reads the flags and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--data", default="scenes,level=1,seed=5", help="label maps, as of `evaluate`")
    add("--size", type=int, default=128, help="longest side in pixels")
    add("--num_images", type=int, default=50, help="pictures, at most")
    add("--layout", default="similar", help="of the palette")
    add("--num_codes", type=int, default=64, help="of the palette")
    add("--shifts", type=int, nargs="*", default=[1, 2, 3], help="pixels")
    add("--batch_size", type=int, default=32)
    args = parser.parse_args()

    maps = label_maps(args)
    counts = np.array([m.max() + 1 for m in maps])
    max_regions = int(-(-counts.max() // 64) * 64)
    print(f"{args.data}, {args.size} px: {len(maps)} maps, {args.num_codes} cells")
    print(
        f"regions a map: median {np.median(counts):.0f}, most {counts.max()}, "
        f"more than cells in {np.mean(counts > args.num_codes):.1%}"
    )
    head = True
    for setting in SETTINGS:
        metrics = Row(setting, args, max_regions).metrics(maps, args.shifts)
        if head:
            print(f"{'choice':26}" + "".join(f"{name:>11}" for name in metrics))
            head = False
        shown = (
            f"{v:.2f}" if n in ("distance", "CPU ms") else f"{v:.1%}" for n, v in metrics.items()
        )
        print(f"{setting!s:26}" + "".join(f"{text:>11}" for text in shown), flush=True)


if __name__ == "__main__":
    main()
