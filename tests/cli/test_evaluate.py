import csv
import json
import shutil

import jax
import numpy as np
import pytest
from PIL import Image

from bitdiff_jax import model_config
from bitdiff_jax.checkpoint import Checkpoints, describe
from bitdiff_jax.cli import main as cli
from bitdiff_jax.data import images
from bitdiff_jax.diffusion import sampler as sampler_lib
from bitdiff_jax.evaluation import draw_source
from bitdiff_jax.inference import loading
from bitdiff_jax.inference.request import Request
from tests.evaluation.stubs import count_rows, make_source, random_params, tiny_config

pytestmark = pytest.mark.slow

_STEP = 7


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    config = tiny_config()
    params = random_params(model_config.from_config(config))
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
    options = ("--num_samples=2", "--score_size=32", "--sheet=2", "--fast", f"--out={out}")
    assert _run(workdir, data, *options) == 0
    printed = capsys.readouterr().out
    assert "step 7 (ema), trained on: squares" in printed
    assert "num_steps 2, guidance_weight 1.0" in printed.replace("\n", " ")
    assert "5 of 5 images scored; of each 2 sample(s), 2 annotator(s)" in printed

    written = json.loads((out / "metrics.json").read_text())
    assert written["step"] == _STEP and written["kind"] == "model"
    assert written["trained_on"] == "squares"
    assert written["ground_truth"] == data and written["caution"] is None
    assert written["num_images"] == 5
    assert written["settings"]["num_samples"] == 2
    assert written["settings"]["num_steps"] == 2
    assert written["config"]["model"]["image_size"] == 32
    with (out / "per_image.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["name"] for row in table] == [f"picture{i:03d}" for i in range(5)]
    assert {row["num_people"] for row in table} == {"2"}
    mean = written["views"]["32"]["ari"]["mean"]
    assert mean == pytest.approx(np.mean([float(row["ari@32"]) for row in table]), abs=1e-5)
    assert f"{mean:.4f}" in printed
    sheet = np.asarray(Image.open(out / "samples.png"))
    assert sheet.shape[1:] == (8 + 4 * 136, 3) and sheet.shape[0] > 2 * 128
    assert written["settings"]["min_area"] == "8 drawn"
    assert written["metrics"]["vi"]["better"] == "low"
    assert {path.name for path in out.iterdir()} == {
        "metrics.json", "per_image.csv", "rows.jsonl", "samples.png",
    }  # fmt: skip


def test_a_truth_of_which_much_is_ignored(workdir, folder, tmp_path, capsys):
    root = shutil.copytree(folder, tmp_path / "data")
    for file in (root / "labels").iterdir():
        labels = images.read_labels(file)
        labels[: 3 * len(labels) // 5] = 0
        images.write_labels(file, labels)
    for zero, expected in (("ignore", "careful: 60% of the ground truth"), ("region", "")):
        out = tmp_path / zero
        options = ("--score_size=32", "--sheet=0", "--fast", f"--out={out}")
        assert _run(workdir, f"folder:{root},zero={zero}", *options) == 0
        err = capsys.readouterr().err
        assert expected in err and ("careful" in err) == bool(expected)
        assert bool(json.loads((out / "metrics.json").read_text())["caution"]) == bool(expected)


def _metrics(out):
    """Everything that is told of each picture and of all, NaN as empty cells and nulls."""
    with (out / "per_image.csv").open() as file:
        table = list(csv.reader(file))
    return table, json.loads((out / "metrics.json").read_text())["views"]


def test_drawn_maps_and_the_same_maps_on_disk_have_the_same_metrics(
    workdir, folder, tmp_path, capsys
):
    out, maps, data = tmp_path / "model", tmp_path / "maps", f"folder:{folder},zero=ignore"
    maps.mkdir()
    options = ("--protocol=paper", "--html", "--sheet=1")
    assert _run(workdir, data, "--num_samples=2", f"--out={out}", *options) == 0
    first = capsys.readouterr().out
    loaded = loading.load(workdir)
    sampler = sampler_lib.from_settings(loaded.config.sampling)
    request = Request(2, batch_size=4, min_area=0)
    pictures = draw_source(loaded.model, loaded.params, make_source(5), sampler, request)
    for drawn in pictures:
        for k, codes in enumerate(drawn.codes):
            images.write_labels(maps / f"{drawn.name}_{k}.png", codes)
    files = tmp_path / "files"
    argv = ["evaluate", str(maps), str(folder), "--zero=ignore", f"--out={files}", *options]
    assert cli.main(argv) == 0
    second = capsys.readouterr().out
    assert _metrics(out) == _metrics(files)
    tables = [
        text[text.index("\npaper (128 px)") : text.index("written:")] for text in (first, second)
    ]
    assert tables[0] == tables[1] and "difference" in first and "annotators" in first
    names = [{path.name for path in each.iterdir()} for each in (out, files)]
    assert names[0] == names[1] and "report.html" in names[0]
    # The paper's protocol scores maps as they are drawn.
    assert json.loads((out / "metrics.json").read_text())["settings"]["min_area"] == "0"
    assert "<img" in (out / "report.html").read_text()


def test_a_second_start_draws_only_what_is_missing(workdir, folder, tmp_path, capsys, monkeypatch):
    calls = count_rows(monkeypatch.setattr)
    out = tmp_path / "out"
    options = ("--fast", "--score_size=0", f"--out={out}")
    data = f"folder:{folder},zero=ignore"
    assert _run(workdir, data, "--num_images=3", *options) == 0
    assert len(calls) == 1 and "have their row" not in capsys.readouterr().err
    sheet = (out / "samples.png").read_bytes()
    assert _run(workdir, data, "--num_images=3", *options) == 0
    assert len(calls) == 1 and (out / "samples.png").read_bytes() == sheet
    told = capsys.readouterr().err
    assert told == f"{out / 'rows.jsonl'}: 3 of 3 pictures have their row already\n"
    assert _run(workdir, data, *options) == 0
    # Two more pictures, and the first three again for the sheet.
    assert len(calls) == 3 and (out / "samples.png").read_bytes() != sheet
    assert len((out / "rows.jsonl").read_text().splitlines()) == 1 + 5
    capsys.readouterr()
    assert _run(workdir, data, "--seed=1", *options) == 2
    assert "another evaluation (it differs in seed)" in _error(capsys)
    assert _run(workdir, data, "--param_set=raw", *options) == 2
    assert "(it differs in param_set, parameters)" in _error(capsys)


def test_a_torn_image_costs_itself_only(workdir, folder, tmp_path, capsys):
    root, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(folder, root)
    (root / "images" / "picture001.png").write_bytes(b"torn")
    options = ("--fast", "--score_size=0", f"--out={out}")
    assert _run(workdir, f"folder:{root},zero=ignore", *options) == 1
    printed = capsys.readouterr()
    assert "4 of 5 images scored" in printed.out
    assert "1 could not be scored:\n  picture001: " in printed.err
    assert (out / "missing.txt").read_text().startswith("picture001\t")


def test_options_override_the_checkpoint(workdir, tmp_path, capsys):
    def metrics(*options):
        out = tmp_path / str(len(list(tmp_path.iterdir())))
        arguments = ("--num_images=3", "--sheet=0", "--fast", f"--out={out}", *options)
        assert _run(workdir, "scenes,level=0,seed=1", *arguments) == 0
        assert not (out / "samples.png").exists()
        return json.loads((out / "metrics.json").read_text())

    plain = metrics()
    assert metrics()["views"] == plain["views"]
    raw = metrics("--param_set=raw")
    assert raw["param_set"] == "raw"
    assert raw["views"]["128"]["ari"] != plain["views"]["128"]["ari"]
    own = "tests.diffusion.own_steps:Churned"
    other = metrics("--guidance_weight=-0.5", "--seed=3", "--shuffle_images", f"--method={own}",
                    "--temperature=0.5")  # fmt: skip
    assert other["settings"]["method"] == own
    assert other["settings"]["guidance_weight"] == -0.5
    assert other["settings"]["shuffle_images"] is True
    # At 1 it is not said, so that rows from before it was a setting are of the same evaluation.
    assert other["settings"]["temperature"] == 0.5 and "temperature" not in plain["settings"]
    assert "time_grid" not in other["settings"]
    assert other["views"]["native"]["ari"] != plain["views"]["native"]["ari"]
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
    (tmp_path / "images").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "a.png")
    assert _run(workdir, f"folder:{tmp_path}") == 2
    assert "labels" in _error(capsys)
    (tmp_path / "labels").mkdir()
    images.write_labels(tmp_path / "labels" / "a.png", np.zeros((8, 8), int))
    assert _run(workdir, f"folder:{tmp_path},zero=ignore", "--fast") == 2
    assert "not one pixel of the ground truth is labelled" in _error(capsys)
    assert _run(workdir, "scenes", "--num_images=1", "--html") == 2
    assert "--out" in _error(capsys)
    assert _run(workdir, "scenes", "--num_images=1", "--score_size=x") == 2
    assert "whole numbers" in _error(capsys)
    (tmp_path / "file").write_text("")
    assert _run(workdir, "scenes", f"--out={tmp_path / 'file'}") == 2
    assert "--out" in _error(capsys)
    assert (
        _run(tmp_path / "none", "scenes", "--temperature=-1") == 2
    )  # before a model is looked for
    assert "temperature is -1.0" in _error(capsys)


@pytest.mark.parametrize(
    "argument",
    ["--num_samples=0", "--workers=-1", "--num_steps=x", "--method=euler", "--nope=1"],
)
def test_bad_arguments_are_refused_by_name(argument, capsys):
    with pytest.raises(SystemExit) as caught:
        _run("nowhere", "scenes", argument)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert argument.partition("=")[0] in line and line.startswith("bitdiff evaluate: error: ")
