import json
import os
import subprocess
import sys

import numpy as np
import pytest

from bitdiff_jax.data import images


def _run(*arguments, **kwargs):
    # A process of its own: the config wants two CPU devices, and jax has started here already.
    return subprocess.run(
        [sys.executable, "-m", "bitdiff_jax", "quickstart", *arguments],
        capture_output=True,
        text=True,
        **kwargs,
    )


@pytest.mark.slow
def test_the_whole_way_small(tmp_path):
    out = tmp_path / "q"
    done = _run("--config=quickstart:smoke", "--num_images=3", f"--out={out}")
    assert done.returncode == 0, done.stderr
    assert "look at" in done.stdout and "trained on: procedural scenes" in done.stdout
    assert f"next: bitdiff segment photo.jpg --checkpoint {out / 'run'} --out" in done.stdout

    metrics = json.loads((out / "evaluation" / "metrics.json").read_text())
    assert metrics["num_images"] == 3 and set(metrics["views"]) == {"native"}
    scenes = sorted((out / "scenes").glob("*.png"))
    assert len(scenes) == 8
    for scene in scenes:
        labels = images.read_labels(out / "segmented" / f"{scene.stem}_labels.png")
        assert labels.shape == images.read_image(scene).shape[:2] and labels.min() == 1
    gallery = images.read_image(out / "gallery.png")
    assert np.ptp(gallery) > 0 and gallery.shape[1] > gallery.shape[0]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config=quickstar", "there is no config 'quickstar'"),
        ("--config.train.num_step=3", "unknown setting --config.train.num_step=3"),
        ("--num_image=3", "unexpected argument '--num_image=3'"),
    ],
)
def test_what_it_does_not_know_is_named(argument, message, tmp_path):
    done = _run(argument, f"--out={tmp_path}", env={**os.environ, "JAX_PLATFORMS": "cpu"})
    assert done.returncode == 2
    assert message in done.stderr and done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
