import csv
import json

import jax
import numpy as np
import pytest
from PIL import Image

from bitdiff_jax import model as model_lib
from bitdiff_jax.checkpoint import Checkpoints, describe
from bitdiff_jax.cli import main as cli
from bitdiff_jax.data import images
from tests.evaluation.stubs import make_source, random_params, tiny_config

_STEP = 7


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    config = tiny_config()
    params = random_params(model_lib.from_config(config))
    state = {
        "params": jax.tree.map(jax.numpy.asarray, params),
        "ema_params": jax.tree.map(lambda x: jax.numpy.asarray(x) * 0.9, params),
    }
    with Checkpoints(path) as checkpoints:
        checkpoints.save(_STEP, state, describe(config, "0" * 12, "squares"))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for name in ("images", "labels"):
        (root / name).mkdir()
    for item in make_source(5):
        Image.fromarray(item["image"]).save(root / "images" / f"{item['name']}.png")
        for k, labels in enumerate(item["labels"]):
            images.write_labels(root / "labels" / f"{item['name']}_{k}.png", labels + 1)
    return root


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("BITDIFF_CACHE_DIR", "")


def _run(workdir, data, *arguments):
    return cli.main(
        ["evaluate", "--checkpoint", str(workdir), "--data", data, "--batch_size=4", *arguments]
    )


def test_table_and_files(workdir, folder, tmp_path, capsys):
    out = tmp_path / "deep" / "out"
    data = f"folder:{folder},zero=ignore"
    options = ("--num_samples=2", "--score_size=32", "--sheet=2", f"--out={out}")
    assert _run(workdir, data, *options) == 0
    printed = capsys.readouterr().out
    assert "step 7 (ema)" in printed
    assert "num_steps 2, guidance_weight 1.0" in printed.replace("\n", " ")

    written = json.loads((out / "metrics.json").read_text())
    assert written["step"] == _STEP
    assert written["trained_on"] == "squares"
    assert written["data"] == data
    assert written["num_images"] == 5
    assert written["settings"]["num_samples"] == 2
    assert written["settings"]["num_steps"] == 2
    assert written["config"]["model"]["image_size"] == 32
    with (out / "per_image.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [f"picture{i:03d}" for i in range(5)]
    assert {row["num_annotators"] for row in rows} == {"2"}
    mean = written["figures"]["ari"]["mean"]
    assert mean == pytest.approx(np.mean([float(row["ari"]) for row in rows]), abs=1e-5)
    assert f"{mean:.4f}" in printed
    sheet = np.asarray(Image.open(out / "samples.png"))
    assert sheet.shape == (6 + 2 * 134, 6 + 4 * 134, 3)
    assert {path.name for path in out.iterdir()} == {"metrics.json", "per_image.csv", "samples.png"}


def test_options_override_the_checkpoint(workdir, tmp_path, capsys):
    def figures(*options):
        out = tmp_path / str(len(list(tmp_path.iterdir())))
        arguments = ("--num_images=3", "--sheet=0", f"--out={out}", *options)
        assert _run(workdir, "scenes,level=0,seed=1", *arguments) == 0
        assert not (out / "samples.png").exists()
        return json.loads((out / "metrics.json").read_text())

    plain = figures()
    assert figures()["figures"] == plain["figures"]
    raw = figures("--weights=raw")
    assert raw["weights"] == "raw"
    assert raw["figures"]["ari"] != plain["figures"]["ari"]
    other = figures("--guidance_weight=-0.5", "--seed=3", "--shuffle_images")
    assert other["settings"]["guidance_weight"] == -0.5
    assert other["settings"]["shuffle_images"] is True
    assert other["figures"]["ari"] != plain["figures"]["ari"]
    assert "seed 3" in capsys.readouterr().out


def _error(capsys):
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("bitdiff evaluate: error: ")
    return lines[0]


def test_errors_are_one_line(workdir, folder, tmp_path, capsys):
    assert _run(tmp_path, "scenes", "--num_images=1") == 2
    assert "checkpoint" in _error(capsys)
    assert _run(workdir, "scenes,level=0") == 2
    assert "--num_images" in _error(capsys)
    assert _run(workdir, f"folder:{tmp_path}") == 2
    assert "images" in _error(capsys)
    assert _run(workdir, f"folder:{folder}", "--num_images=1", "--shuffle_images") == 2
    assert "at least 2 pictures" in _error(capsys)
    (tmp_path / "file").write_text("")
    assert _run(workdir, "scenes", f"--out={tmp_path / 'file'}") == 2
    assert "--out" in _error(capsys)


@pytest.mark.parametrize(
    "argument",
    ["--num_samples=0", "--score_size=-1", "--num_steps=x", "--method=euler", "--nope=1"],
)
def test_bad_arguments_are_refused_by_name(argument, capsys):
    with pytest.raises(SystemExit) as caught:
        _run("nowhere", "scenes", argument)
    assert caught.value.code == 2
    assert argument.partition("=")[0] in capsys.readouterr().err.splitlines()[-1]
