"""Is a model as undecided as it should be? Scenes whose posterior over partitions is known exactly.

Draws maps for scenes that training never saw, and for scenes with combinations of cues that it
never saw (`held_out`), and holds them against the exact probabilities; for comparison as many exact
draws, and a model that always draws the most probable map.

    bitdiff train --config posterior --workdir runs/posterior
    python benchmarks/quality/posterior.py --checkpoint runs/posterior \
        --num_scenes 100 --num_samples 32
"""

import argparse
import json
import pathlib
import time
from typing import Any

import numpy as np

from bitdiff_jax.cli import options
from bitdiff_jax.data import contact_sheet
from bitdiff_jax.diffusion import sampler as sampler_lib
from bitdiff_jax.evaluation import calibration, draw_source
from bitdiff_jax.evaluation.calibration import Calibration, calibrate
from bitdiff_jax.evaluation.statistics import estimates
from bitdiff_jax.inference.drawing import Drawn
from bitdiff_jax.inference.request import Request
from bitdiff_jax.parallel import compilation_cache
from bitdiff_jax.parallel import mesh as mesh_lib
from bitdiff_jax.scenes.posterior_scene import PosteriorScene
from bitdiff_jax.scenes.posterior_source import KINDS, PosteriorSource

METRICS = {
    "pair_error": "pixel pairs: mean (q - p)^2",
    "slope": "pixel pairs: slope of q on p",
    "mode_error": "whole maps: sum of (q - p)^2",
    "off": "maps that are none of the possible",
    "consistent": "switch thrown for all or none",
}
ROWS, MAPS = 3, 8  # of the sheet, for each kind
COLUMNS = ("model", "exact draws", "always the mode")


def summarise(rows: list[Calibration]) -> dict[str, Any]:
    """Means over the scenes with 95 % intervals; the slope is that of all pairs together."""
    metrics: dict[str, Any] = {
        name: estimates.bootstrap(np.array([getattr(row, name) for row in rows]))
        for name in METRICS
        if name != "slope"
    }
    p, phat = (np.concatenate([getattr(row, name) for row in rows]) for name in ("p", "phat"))
    metrics["slope"] = estimates.Estimate(calibration.slope(phat, p), np.nan, np.nan, len(rows))
    return metrics


def columns(
    scenes: list[PosteriorScene], drawn: list[Drawn], num_samples: int
) -> dict[str, dict[str, Any]]:
    """The model's figures, and those of the two whose figures are known."""
    rows: dict[str, list[Calibration]] = {name: [] for name in COLUMNS}
    rng = np.random.default_rng(0)
    for scene, maps in zip(scenes, drawn, strict=True):
        likely = scene.partition(scene.mode())[None].repeat(num_samples, axis=0)
        for name, codes in zip(
            COLUMNS, (maps.codes, scene.draws(rng, num_samples), likely), strict=True
        ):
            rows[name].append(calibrate(codes, scene))
    metrics = {name: summarise(each) for name, each in rows.items()}
    apart = np.array([row.consistent_independent for row in rows["model"]])
    metrics["each object for itself"] = {"consistent": estimates.bootstrap(apart)}
    return metrics


def sheet_rows(scenes: list[PosteriorScene], drawn: list[Drawn]) -> list[list[np.ndarray]]:
    """Some pictures, each followed by maps drawn for it."""
    chosen = list(zip(scenes, drawn, strict=True))[:ROWS]
    return [[scene.image, *maps.codes[:MAPS]] for scene, maps in chosen]


def show(title: str, metrics: dict[str, dict[str, Any]]) -> None:
    """Prints one table."""
    print(f"\n{title}")
    print(f"{'':36}{'model':>8}  {'95 % interval':18}{COLUMNS[1]:>13}{COLUMNS[2]:>17}")
    for name, words in METRICS.items():
        model, exact, mode = (metrics[column][name] for column in COLUMNS)
        if np.isnan([model.mean, exact.mean]).all():
            continue
        interval = "" if np.isnan(model.low) else f"[{model.low:.4f}, {model.high:.4f}]"
        print(f"{words:36}{model.mean:8.4f}  {interval:18}{exact.mean:13.4f}{mode.mean:17.4f}")
    apart = metrics["each object for itself"]["consistent"]
    if not np.isnan(apart.mean):
        print(f"{'  if each object chose for itself':36}{apart.mean:8.4f}")


def as_json(estimate: estimates.Estimate) -> dict[str, float | None]:
    """Its fields; what does not exist is null."""
    return {k: v if np.isfinite(v) else None for k, v in estimate._asdict().items()}


def main() -> None:
    """Reads the flags, draws, prints the tables, writes the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    options.add_weights(parser)
    add("--kinds", nargs="*", choices=KINDS, default=["mixed"], help="kinds of scenes (mixed)")
    add("--num_scenes", type=int, default=100, help="scenes of each kind and side (100)")
    add("--num_samples", type=int, default=32, help="maps per scene, at least 2 (32)")
    add("--num_steps", type=int, help="sampling steps (the checkpoint's)")
    add("--guidance_weight", type=float, help="0 is plain conditional (the checkpoint's)")
    options.add_param_set(add)
    add("--batch_size", type=int, default=64, help="maps at a time (64)")
    add("--scene_seed", type=int, default=5, help="of the scenes; training has 0 (5)")
    add("--seed", type=int, default=0, help="of the maps (0)")
    add("--json", type=pathlib.Path, help="file to write the tables to")
    add("--sheet", type=pathlib.Path, help="PNG of pictures with maps drawn for them")
    args = parser.parse_args()

    compilation_cache.enable()
    mesh = mesh_lib.make_mesh()
    loaded = options.load_weights(args, args.param_set, mesh=mesh)
    name = options.weights_name(args)
    settings = options.sampler_settings(args, loaded.config.sampling)
    sampler = sampler_lib.from_settings(settings)
    # Probabilities are those of maps as they are drawn.
    request = Request(args.num_samples, args.seed, args.batch_size, min_area=0)
    print(f"{name}, step {loaded.step} ({loaded.param_set}): {loaded.trained_on}")
    print(", ".join(f"{name} {value}" for name, value in settings.items()), flush=True)
    written = {}
    shown: list[list[np.ndarray]] = []
    for kind in args.kinds:
        for held_out in (False, True):
            source = PosteriorSource(
                kind, loaded.model.image_size, args.scene_seed, args.num_scenes, held_out
            )
            start = time.perf_counter()
            drawn = draw_source(loaded.model, loaded.params, source, sampler, request, mesh=mesh)
            scenes = [source.scene(i) for i in range(len(source))]
            maps = list(drawn)
            if not held_out:
                shown += sheet_rows(scenes, maps)
            metrics = columns(scenes, maps, args.num_samples)
            seconds = time.perf_counter() - start
            title = f"{kind}, {'held-out combinations' if held_out else 'unseen scenes'}"
            show(
                f"{title}: {len(scenes)} scenes, {args.num_samples} maps each, {seconds:.0f} s",
                metrics,
            )
            written[title] = {
                column: {name: as_json(estimate) for name, estimate in each.items()}
                for column, each in metrics.items()
            }
    if args.sheet is not None:
        args.sheet.write_bytes(contact_sheet.to_png(contact_sheet.contact_sheet(shown, cell=96)))
    if args.json is not None:
        about = {"step": loaded.step, **vars(args), "weights": name, **settings}
        args.json.write_text(json.dumps({**about, "tables": written}, indent=2, default=str) + "\n")


if __name__ == "__main__":
    main()
