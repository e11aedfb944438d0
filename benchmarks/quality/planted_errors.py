"""Does `Segmenter.surprise` find labels that are wrong? Errors planted into people's maps.

Of each image one person's map is taken, and copies of it in which two neighbouring regions are
merged, one is split in two by a line, a boundary is shifted into a neighbour, or the whole map is
that of another image ('swap'). AUROC is the probability that an error has a higher score than what
has none: of regions, those that the error made or changed against all others of the same maps and
of the maps as they were; and of maps, the copies against the maps as they were. Beside `surprise`,
without samples and with them, stand three that need no likelihood: the expected variation of
information between the map and samples of the model, of the region's pixels or of all
('disagreement'); the same less what the samples have among each other ('beyond samples'); and the
region's area, since planted errors touch large regions more often. 95 % intervals are
over images.

    python -m benchmarks.quality.planted_errors --weights photos \
        --data bsds500:BSDS500,split=val --num_images 30 --rows planted.jsonl

An image is encoded once, or not at all where its features lie beside its records (`bitdiff prepare
--encoder`). The rows of an image are written as soon as it is scored; the same command again, or
one with more images, goes on with the first that has none.
"""

import argparse
import json
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import rankdata

from benchmarks.quality.label_errors import MIN_SHARE, planted
from bitdiff_jax import files
from bitdiff_jax.cli import options
from bitdiff_jax.data import labelmaps, specs
from bitdiff_jax.data.pipeline import Source
from bitdiff_jax.data.records import feature_cache
from bitdiff_jax.diffusion import sampler as sampler_lib
from bitdiff_jax.inference import drawing, given_maps, likelihood, surprise
from bitdiff_jax.inference.drawing import Item
from bitdiff_jax.inference.loading import Loaded
from bitdiff_jax.inference.request import Request
from bitdiff_jax.parallel import compilation_cache
from bitdiff_jax.parallel import mesh as mesh_lib

SCORES = ("surprise", "with samples", "disagreement", "beyond samples", "area")


class Scored(NamedTuple):
    """Scores of one region or map, by name, and whether it is wrong."""

    image: int
    error: str  # the kind of the map's error; '' for a map as it was
    is_wrong: bool
    scores: dict[str, float]


class Encoded(NamedTuple):
    """Features of an image at the network's size, computed once; stands for `data.Features`."""

    values: np.ndarray

    def resampled(self, size: tuple[int, int], side: int, grid: int) -> np.ndarray:
        """The features, which have this size already."""
        return self.values


def with_features(source: Source, loaded: Loaded) -> Source:
    """The source with the features that lie beside its images, if the model has an encoder."""
    if loaded.model.features is None:
        return source
    weights = loaded.config.model.encoder.weights
    return feature_cache.beside(
        source, feature_cache.key_of(loaded.model.features.encoder, weights)
    )


def item_of(loaded: Loaded, record: dict[str, Any]) -> Item:
    """The image with its features, so that no later step encodes it."""
    item = Item(record["name"], record["image"], features=record.get("features"))
    if loaded.model.features is None or item.features is not None:
        return item
    encode = drawing.split_encoder(loaded.model, loaded.params)[1]
    arrays, _, _ = drawing.prepare(item, loaded.model, encode)
    return item._replace(features=Encoded(np.asarray(arrays["features"])))


def rows_of_image(
    loaded: Loaded, source: Source, index: int, num_samples: int, num_times: int, seed: int
) -> tuple[list[Scored], list[Scored]]:
    """Scored regions and maps of one image."""
    item = item_of(loaded, source[index])
    sampler = sampler_lib.from_settings(loaded.config.sampling)
    sampler = sampler.override(guidance_weight=0.0, temperature=1.0).without_idle_half()
    request = Request(num_samples, seed, batch_size=num_samples, min_area=0)
    samples = next(drawing.draw(loaded.model, loaded.params, [item], sampler, request)).codes
    key = given_maps.key_of(item.image, seed, item.name)  # all maps meet the same noise
    regions: list[Scored] = []
    maps: list[Scored] = []
    for error, (label_map, is_wrong) in planted(source, index, np.random.default_rng(index)):
        bits = likelihood.coarse_bits(
            loaded.model, loaded.params, item, label_map, num_times=num_times, key=key
        )
        found = surprise.of_bits(bits, label_map)
        both = {each.id: each.score for each in surprise.of_bits(bits, label_map, samples).regions}
        small = labelmaps.resize_labels(label_map, samples.shape[1:])
        at_pixels = {
            "disagreement": labelmaps.at_centres(
                surprise.expected_vi(small, samples), label_map.shape
            ),
            "beyond samples": labelmaps.at_centres(
                surprise.beyond_samples(small, samples), label_map.shape
            ),
        }
        for region in found.regions:
            inside = label_map == region.id
            scores = {key: float(np.nanmean(v[inside])) for key, v in at_pixels.items()
                      if np.isfinite(v[inside]).any()}  # fmt: skip
            if scores:
                scores |= {"surprise": region.score, "area": inside.mean()}
                scores["with samples"] = both[region.id]
                wrong = bool(is_wrong[inside].mean() > 0.5)
                regions.append(Scored(index, error, wrong, scores))
        scores = {key: float(np.nanmean(value)) for key, value in at_pixels.items()}
        # Of a whole map samples change nothing.
        scores |= {"surprise": found.score, "with samples": found.score, "area": 0.0}
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


def read(path: pathlib.Path | None) -> dict[int, tuple[list[Scored], list[Scored]]]:
    """Scored regions and maps of the images that have rows already, by index."""
    if path is None or not path.exists():
        return {}
    found = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        found[row["image"]] = tuple([Scored(*each) for each in row[k]] for k in ("regions", "maps"))
    return found


def append(
    path: pathlib.Path | None, index: int, scored: tuple[list[Scored], list[Scored]]
) -> None:
    """Writes the rows of an image as one line; half a line is never there."""
    if path is not None:
        old = path.read_text() if path.exists() else ""
        row = {"image": index, "regions": scored[0], "maps": scored[1]}
        files.write(path, f"{old}{json.dumps(row)}\n".encode())


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
    add("--rows", type=pathlib.Path, help="JSON lines of scores, appended to; of these flags alone")
    add("--json", type=pathlib.Path, help="file to write the tables to")
    args = parser.parse_args(argv)

    compilation_cache.enable()
    loaded = options.load_weights(args, args.param_set, mesh=mesh_lib.make_mesh())
    source = with_features(specs.open_source(args.data, image_size=args.size), loaded)
    wanted = range(args.first, min(args.first + args.num_images, len(source)))
    done = read(args.rows)
    for index in wanted:
        if index not in done:
            done[index] = rows_of_image(
                loaded, source, index, args.num_samples, args.num_times, args.seed
            )
            append(args.rows, index, done[index])
            print(f"{index + 1 - args.first} of {len(wanted)}", end="\r", flush=True)
    regions, maps = ([row for index in wanted for row in done[index][k]] for k in range(2))
    name = options.weights_name(args)
    print(f"{name} on {args.data}: {len(wanted)} images, {args.num_samples} samples")
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
