import json
import subprocess
import sys

import numpy as np
import pytest

from bitdiff_jax.cli import main as cli
from bitdiff_jax.data import images


@pytest.mark.slow
@pytest.mark.multiprocess
def test_the_whole_way_small(tmp_path):
    out = tmp_path / "q"
    arguments = (
        "--config=quickstart:smoke", "--config.model.net.channel_multipliers=(1,)",
        "--num_images=3", f"--out={out}",
    )  # fmt: skip
    # A process of its own: the config wants two CPU devices, and jax has started here already.
    done = subprocess.run(
        [sys.executable, "-m", "bitdiff_jax", "quickstart", *arguments],
        capture_output=True,
        text=True,
    )
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
def test_what_it_does_not_know_is_named(argument, message, tmp_path, capsys):
    assert cli.main(["quickstart", argument, f"--out={tmp_path}"]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())
