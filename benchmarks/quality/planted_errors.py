"""Does `Segmenter.surprise` find labels that are wrong? Errors planted into people's maps.

Of each image one person's map is taken, and copies of it in which two neighbouring regions are
merged, one is split in two by a line, a boundary is shifted into a neighbour, or the whole map is
that of another image ('swap'). AUROC is the probability that an error has a higher score than what
has none: of regions, those that the error made or changed against all others of the same maps and
of the maps as they were; and of maps, the copies against the maps as they were. Beside `surprise`
stand three that need no likelihood: the expected variation of information between the map and
samples of the model, of the region's pixels or of all ('disagreement'); the same less what the
samples have among each other ('beyond samples'); and the region's area, since planted errors touch
large regions more often. 95 % intervals are over images.

    python benchmarks/quality/planted_errors.py --weights photos \
        --data folder:BSDS500,split=val,zero=region --num_images 30
"""

import argparse
import json
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage
from scipy.stats import rankdata

from bitdiff_jax.cli import options
from bitdiff_jax.data import labelmaps, specs
from bitdiff_jax.data.pipeline import Source
from bitdiff_jax.inference import Segmenter
from bitdiff_jax.posterior.agreement import disagreement
from bitdiff_jax.posterior.atoms import refine

SCORES = ("surprise", "disagreement", "beyond samples", "area")
MIN_SHARE = 0.02  # of the image, of a region that an error is planted into
SHIFT = 0.06  # of the longest side

Planted = tuple[np.ndarray, np.ndarray]  # the map, and bool [h, w]: the regions of the error


class Scored(NamedTuple):
    """Scores of one region or map, by name, and whether it is wrong."""

    image: int
    error: str  # the kind of the map's error; '' for a map as it was
    is_wrong: bool
    scores: dict[str, float]


def neighbours(label_map: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of regions side by side, each large enough."""
    share = np.bincount(label_map[label_map >= 0]) / label_map.size
    beside = np.stack([label_map[:, :-1].ravel(), label_map[:, 1:].ravel()], axis=1)
    above = np.stack([label_map[:-1].ravel(), label_map[1:].ravel()], axis=1)
    pairs = np.unique(np.sort(np.concatenate([beside, above]), axis=1), axis=0)
    return [(i, j) for i, j in pairs.tolist() if i != j and i >= 0
            and min(share[[i, j]]) >= MIN_SHARE]  # fmt: skip


def merge(label_map: np.ndarray, rng: np.random.Generator) -> Planted | None:
    """Two neighbouring regions as one."""
    pairs = neighbours(label_map)
    if not pairs:
        return None
    i, j = pairs[rng.integers(len(pairs))]
    wrong = np.where(label_map == j, i, label_map)
    return wrong, wrong == i


def split(label_map: np.ndarray, rng: np.random.Generator) -> Planted | None:
    """A region in two halves of equal area, by a line in a random direction."""
    share = np.bincount(label_map[label_map >= 0]) / label_map.size
    large = np.flatnonzero(share >= 4 * MIN_SHARE)
    if not large.size:
        return None
    inside = label_map == large[rng.integers(len(large))]
    angle = rng.random() * np.pi
    rows, columns = np.indices(label_map.shape)
    across = np.cos(angle) * rows + np.sin(angle) * columns
    half = inside & (across > np.median(across[inside]))
    return np.where(half, label_map.max() + 1, label_map), inside


def shift(label_map: np.ndarray, rng: np.random.Generator) -> Planted | None:
    """A boundary moved into one of the two regions, if that does not swallow it."""
    pairs = neighbours(label_map)
    if not pairs:
        return None
    i, j = rng.permutation(pairs[rng.integers(len(pairs))])
    near = ndimage.distance_transform_edt(label_map != i) <= SHIFT * max(label_map.shape)
    wrong = np.where((label_map == j) & near, i, label_map)
    return (wrong, (wrong == i) | (wrong == j)) if (wrong == j).any() else None


ERRORS: dict[str, Callable[[np.ndarray, np.random.Generator], Planted | None]] = {
    "merge": merge,
    "split": split,
    "shift": shift,
}


def planted(source: Source, index: int, rng: np.random.Generator) -> Iterator[tuple[str, Planted]]:
    """The first person's map of an image as it was (''), and with each error."""
    label_map, other = (
        labelmaps.renumber(np.asarray(source[i % len(source)]["labels"][0]))[1].astype(np.int32)
        for i in (index, index + 1)
    )
    yield "", (label_map, np.zeros(label_map.shape, bool))
    for name, plant in ERRORS.items():
        if (found := plant(label_map, rng)) is not None:
            yield name, found
    swapped = labelmaps.at_centres(other, label_map.shape)
    yield "swap", (swapped, swapped >= 0)


def expected_vi(label_map: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Of each pixel, what it adds to the expected variation of information from samples, in bits.

    Args:
        label_map: int [h, w].
        samples: int [n, h, w].
    """
    atoms = refine(np.concatenate([label_map[None], samples]))
    own = atoms.regions[atoms.partition[0]]
    # The map is one of those that the mean is over, and adds nothing to it.
    return atoms.values_map(disagreement(atoms, own) * (len(samples) + 1) / len(samples))


def rows_of_image(
    segmenter: Segmenter, source: Source, index: int, num_samples: int, num_times: int, seed: int
) -> tuple[list[Scored], list[Scored]]:
    """Scored regions and maps of one image."""
    image, name = source[index]["image"], source[index]["name"]
    drawn = segmenter(
        image, num_samples, guidance_weight=0.0, temperature=1.0, seed=seed, name=name, min_area=0
    )
    samples = drawn.codes
    others = [np.delete(samples, i, axis=0) for i in range(num_samples)]
    usual = np.mean([expected_vi(*each) for each in zip(samples, others, strict=True)], axis=0)
    regions: list[Scored] = []
    maps: list[Scored] = []
    for error, (label_map, is_wrong) in planted(source, index, np.random.default_rng(index)):
        found = segmenter.surprise(image, label_map, num_times, seed, name=name)
        small = labelmaps.resize_labels(label_map, samples.shape[1:])
        apart = expected_vi(small, samples)
        at_pixels = {
            "disagreement": labelmaps.at_centres(apart, label_map.shape),
            "beyond samples": labelmaps.at_centres(apart - usual, label_map.shape),
        }
        for region in found.regions:
            inside = label_map == region.id
            scores = {key: float(np.nanmean(v[inside])) for key, v in at_pixels.items()
                      if np.isfinite(v[inside]).any()}  # fmt: skip
            if scores:
                scores |= {"surprise": region.score, "area": inside.mean()}
                wrong = bool(is_wrong[inside].mean() > 0.5)
                regions.append(Scored(index, error, wrong, scores))
        scores = {key: float(np.nanmean(value)) for key, value in at_pixels.items()}
        scores |= {"surprise": found.score, "area": 0.0}
        maps.append(Scored(index, error, error != "", scores))
    return regions, maps


def auroc(values: np.ndarray, is_wrong: np.ndarray) -> float:
    """The probability that what is wrong scores higher; a draw is a half. NaN if there is none."""
    num_wrong, num_right = int(is_wrong.sum()), int((~is_wrong).sum())
    if not num_wrong or not num_right:
        return float("nan")
    above = rankdata(values)[is_wrong].sum() - num_wrong * (num_wrong + 1) / 2
    return float(above / (num_wrong * num_right))


def interval(rows: Sequence[Scored], score: str, draws: int = 500) -> tuple[float, float, float]:
    """AUROC and its 95 % interval, by drawing images anew."""
    values = np.array([row.scores[score] for row in rows])
    is_wrong = np.array([row.is_wrong for row in rows], bool)
    image = np.array([row.image for row in rows])
    places = [np.flatnonzero(image == each) for each in np.unique(image)]
    rng = np.random.default_rng(0)
    again = []
    for _ in range(draws):
        drawn = np.concatenate([places[i] for i in rng.integers(len(places), size=len(places))])
        again.append(auroc(values[drawn], is_wrong[drawn]))
    low, high = np.nanquantile(again, [0.025, 0.975])
    return auroc(values, is_wrong), float(low), float(high)


def table(title: str, rows: Sequence[Scored], min_area: float = 0.0) -> dict[str, Any]:
    """Prints AUROC by score and kind of error, and returns it."""
    rows = [row for row in rows if row.scores["area"] >= min_area]
    kinds = ("merge", "split", "shift", "swap", "all")
    print(f"\n{title}: {sum(row.is_wrong for row in rows)} wrong, "
          f"{sum(not row.is_wrong for row in rows)} right")  # fmt: skip
    print(f"{'':15}" + "".join(f"{kind:>19}" for kind in kinds))
    result: dict[str, Any] = {}
    for score in SCORES:
        cells = {}
        for kind in kinds:
            chosen = [row for row in rows if kind == "all" or row.error in ("", kind)]
            cells[kind] = interval(chosen, score)
        print(f"{score:15}" + "".join(
            f"{f'{mean:.3f} [{low:.2f}, {high:.2f}]':>19}" for mean, low, high in cells.values()
        ))  # fmt: skip
        result[score] = cells
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags, scores, prints the tables, writes the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    options.add_weights(parser)
    options.add_param_set(add)
    add("--data", required=True, help="images with label maps, as of `bitdiff evaluate`")
    add("--num_images", type=int, default=30, help="images, at most (30)")
    add("--first", type=int, default=0, help="the first of them (0)")
    add("--num_samples", type=int, default=8, help="maps drawn of each, without guidance (8)")
    add("--num_times", type=int, default=16, help="of `surprise` (16)")
    add("--size", type=int, default=512, help="longest side of the images in pixels (512)")
    add("--seed", type=int, default=0)
    add("--json", type=pathlib.Path, help="file to write the tables to")
    args = parser.parse_args(argv)

    segmenter = Segmenter.from_loaded(options.load_weights(args, args.param_set))
    source = specs.open_source(args.data, image_size=args.size)
    regions: list[Scored] = []
    maps: list[Scored] = []
    last = min(args.first + args.num_images, len(source))
    for index in range(args.first, last):
        found = rows_of_image(
            segmenter, source, index, args.num_samples, args.num_times, args.seed
        )  # fmt: skip
        regions += found[0]
        maps += found[1]
        print(f"{index + 1 - args.first} of {last - args.first}", end="\r", flush=True)
    name = options.weights_name(args)
    print(f"{name} on {args.data}: {last - args.first} images, {args.num_samples} samples")
    tables = {
        "regions": table("regions", regions),
        "large regions": table("regions of 2 % of the image or more", regions, MIN_SHARE),
        "maps": table("maps", maps),
    }
    if args.json is not None:
        about = {key: value for key, value in vars(args).items() if key != "json"}
        text = json.dumps({**about, "weights": name, "tables": tables}, indent=2, default=str)
        args.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
