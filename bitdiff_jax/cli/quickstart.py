"""`bitdiff quickstart [--out DIR]`: the whole way once, by the other subcommands."""

import pathlib
import time

from bitdiff_jax import files
from bitdiff_jax.cli import evaluate, options, segment, train
from bitdiff_jax.errors import InputError

# Training sees seed 0 and is watched on seed 1; what is reported and shown was never touched.
_TEST_SCENES = "scenes,level=1,seed=5"
_SHOWN_SCENES_SEED = 3


def main(argv: list[str]) -> int:
    """Trains on procedural scenes, scores 500 unseen ones, and segments a few more from files."""
    parser = options.Parser(prog="bitdiff quickstart", description=__doc__, allow_abbrev=False)
    parser.add_argument("--out", default="quickstart", help="folder for everything (quickstart)")
    parser.add_argument("--config", default="quickstart", help="config to train (quickstart)")
    parser.add_argument(
        "--num_images", type=options.positive, default=500, help="unseen scenes to score (500)"
    )
    args, overrides = parser.parse_known_args(argv)
    for argument in overrides:
        if hint := parser.similar_option(argument):
            raise InputError(f"unexpected argument {argument!r}{hint}")
    out = pathlib.Path(args.out)
    files.make_folder(out, "--out")
    run = out / "run"

    start = time.monotonic()
    train.main([f"--config={args.config}", f"--workdir={run}", *overrides])
    print(f"trained in {time.monotonic() - start:.0f} s, compilation and evaluation included\n")

    _run(
        evaluate.main,
        f"--checkpoint={run}",
        f"--data={_TEST_SCENES}",
        f"--num_images={args.num_images}",
        "--score_size=0",
        f"--out={out / 'evaluation'}",
    )
    scenes = _write_scenes(out / "scenes", run)
    segmented = out / "segmented"
    _run(segment.main, str(scenes), f"--checkpoint={run}", f"--out={segmented}")
    gallery = _write_gallery(scenes, segmented, out / "gallery.png")
    print(f"\nlook at {gallery}: scene, its regions, how far the samples agree")
    return 0


def _run(command, *argv: str) -> None:
    if command(list(argv)):
        raise InputError(f"{' '.join(argv)} did not end well, see above")


def _write_scenes(folder: pathlib.Path, run: pathlib.Path, count: int = 8) -> pathlib.Path:
    from PIL import Image

    from bitdiff_jax.inference.loading import load
    from bitdiff_jax.scenes import SceneSource

    source = SceneSource(size=load(run).model.image_size, seed=_SHOWN_SCENES_SEED, length=count)
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        item = source[index]
        Image.fromarray(item["image"]).save(folder / f"{item['name']}.png")
    return folder


def _write_gallery(
    scenes: pathlib.Path, segmented: pathlib.Path, path: pathlib.Path
) -> pathlib.Path:
    """One column per scene: the scene, its regions, the agreement of its samples."""
    import numpy as np

    from bitdiff_jax.data import images
    from bitdiff_jax.data.contact_sheet import contact_sheet, to_png

    names = sorted(p.stem for p in scenes.glob("*.png"))
    labels = [images.read_labels(segmented / f"{name}_labels.png") for name in names]
    agreement = [images.read_image(segmented / f"{name}_agreement.png") for name in names]
    rows: list[list[np.ndarray]] = [
        [images.read_image(scenes / f"{name}.png") for name in names],
        labels,
        # Without the legend below.
        [a[: ids.shape[0], : ids.shape[1]] for a, ids in zip(agreement, labels, strict=True)],
    ]
    path.write_bytes(to_png(contact_sheet(rows)))
    return path
