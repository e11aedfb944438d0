"""Do the regions of tiles agree across their borders, and what does the detail bring?

Each image is drawn tile by tile (`Segmenter.tiled`) and as a whole. Of all neighbouring pixels that
lie in one true region, the share that has one id is given for pairs across the border of two tiles
and for all other pairs: the difference is what tiles cost. ARI of both maps beside it.

    python -m benchmarks.quality.tiles --rows tiles.jsonl --num_images 4 --tile_size 128 \
        --data scenes,level=2,size=512,seed=5 --checkpoint runs/plain
    python -m benchmarks.quality.tiles --rows tiles.jsonl --num_images 4 --tile_size 512 \
        --data scenes,level=2,size=2048,seed=5 --checkpoint runs/plain

Rows are appended as they are finished, and what is there is not drawn again.
"""

import argparse
import json
import pathlib
import resource
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.quality import json_rows
from benchmarks.quality.step_checkpoints import model_of
from bitdiff_jax import metrics
from bitdiff_jax.data import labelmaps, specs
from bitdiff_jax.evaluation.host_contingency import contingency
from bitdiff_jax.evaluation.statistics import estimates
from bitdiff_jax.inference import Segmenter, tiles

SCORES = ("across", "inside", "ari", "ari_whole")


def shares(label_map: np.ndarray, truth: np.ndarray, tile_size: int) -> tuple[float, float]:
    """(across borders of tiles, elsewhere): pairs of one true region that have one id.

    Args:
        label_map: integers [h, w].
        truth: integers [h, w]; negative pixels are left out.
        tile_size: with which the map was drawn.
    """
    owner = np.zeros(truth.shape, int)
    for row in tiles.tiles_of(truth.shape, tile_size):
        for tile in row:
            number = tile.kept_rows.start * truth.shape[1] + tile.kept_columns.start
            owner[tile.kept_rows, tile.kept_columns] = number
    agree, across = [], []
    for a, b in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        one = (truth[a] == truth[b]) & (truth[a] >= 0)
        agree.append((label_map[a] == label_map[b])[one])
        across.append((owner[a] != owner[b])[one])
    same, at_border = np.concatenate(agree), np.concatenate(across)
    return float(same[at_border].mean()), float(same[~at_border].mean())


def score(label_map: np.ndarray, truths: Sequence[np.ndarray]) -> float:
    """The mean ARI."""
    found = labelmaps.renumber(label_map)[1]
    return float(
        np.mean([metrics.adjusted_rand_index_from_table(contingency(found, t)) for t in truths])
    )


def draw_rows(args: argparse.Namespace) -> None:
    """Draws what the rows lack, and appends it."""
    about = {"data": args.data, "weights": args.checkpoint, "tile_size": args.tile_size}
    done = {each["image"] for each in json_rows.read(args.rows) if about.items() <= each.items()}
    segmenter = Segmenter.from_pretrained(args.checkpoint, model=model_of(args.checkpoint))
    source = specs.open_source(args.data, image_size=args.tile_size)
    for i in range(min(args.num_images, len(source))):
        if i in done:
            continue
        item = source[i]
        image, truths = item["image"], tuple(item["labels"])
        start = time.perf_counter()
        drawn = segmenter.tiled(
            image, args.tile_size, name=item["name"], batch_size=args.batch_size
        )
        seconds = time.perf_counter() - start
        whole = segmenter(image, name=item["name"]).label_map()
        pairs = np.mean([shares(drawn, truth, args.tile_size) for truth in truths], axis=0)
        row = {
            **about,
            "image": i,
            **dict(zip(SCORES, (*pairs, score(drawn, truths), score(whole, truths)), strict=True)),
            "regions": len(np.unique(drawn)),
            "tiles": tiles.num_tiles(image.shape[:2], args.tile_size),
            "seconds": seconds,
            "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        }
        with args.rows.open("a") as file:
            file.write(json.dumps(row) + "\n")


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """Means over images with their intervals, of each data, weights and size of tiles."""
    keys = [(each["data"], each["weights"], each["tile_size"]) for each in rows]
    for key in dict.fromkeys(keys):
        found = [row for row, of in zip(rows, keys, strict=True) if of == key]
        print(f"{key[0]}, {key[1]}, tiles of {key[2]}: {len(found)} images")
        for name in (*SCORES, "regions", "tiles", "seconds", "gigabytes"):
            estimate = estimates.bootstrap(np.array([row[name] for row in found]))
            interval = estimates.interval_text(estimate.low, estimate.high)
            print(f"    {name:10} {estimate.mean:.4f} {interval}")


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags, draws what is missing, prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--checkpoint", default="photos", help="weights by name, or the --workdir of a training")
    add("--rows", type=pathlib.Path, required=True, help="file of JSON lines, appended to")
    add("--data", metavar="SPEC", help="images with label maps; none: the table")
    add("--num_images", type=int, default=4, help="of the data, from the first on (4)")
    add("--tile_size", type=int, default=512, help="side of a tile in pixels (512)")
    add("--batch_size", type=int, default=8, help="tiles drawn at once (8)")
    args = parser.parse_args(argv)
    if args.data is not None:
        draw_rows(args)
    print_table(json_rows.read(args.rows))


if __name__ == "__main__":
    main()
