"""docs/evaluation.md: its commands run, and it names every figure there is."""

import pathlib
import re
import shutil

import pytest
from PIL import Image

from bitdiff_jax import metrics
from bitdiff_jax.cli import main as cli
from bitdiff_jax.data import images
from bitdiff_jax.evaluation import distribution, image_measures
from bitdiff_jax.evaluation.predictions import KINDS
from bitdiff_jax.evaluation.statistics import pooling
from tests.evaluation.stubs import make_source

PAGE = (pathlib.Path(__file__).resolve().parent.parent / "docs" / "evaluation.md").read_text()
COMMANDS = re.findall(r"^    bitdiff ((?:evaluate|compare) .*)$", PAGE, re.M)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("doc")
    for name in ("truth/images", "truth/labels", "ours", "theirs", "theirs_2023"):
        (root / name).mkdir(parents=True)
    for item in make_source(3):
        Image.fromarray(item["image"]).save(root / "truth" / "images" / f"{item['name']}.png")
        for k, labels in enumerate(item["labels"]):
            images.write_labels(root / f"truth/labels/{item['name']}_{k}.png", labels + 1)
            images.write_labels(root / f"ours/{item['name']}_{k}.png", labels)
        for tool in ("theirs", "theirs_2023"):
            images.write_labels(root / tool / f"{item['name']}.png", item["labels"][0] // 2)
    return root


@pytest.mark.parametrize("command", [c for c in COMMANDS if "--checkpoint" not in c])
def test_commands_run(command, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(shutil.copytree(folder, tmp_path / "here"))
    argv = command.split()
    assert cli.main([*argv, "--fast"]) == 0
    out = argv[argv.index("--out") + 1] if "--out" in argv else None
    for line in capsys.readouterr().out.partition("written: ")[2].split(", ") if out else ():
        name = pathlib.Path(line.strip()).name
        assert pathlib.Path(out, name).exists()
        assert name in PAGE, name


def test_there_are_commands():
    assert len(COMMANDS) >= 5


def test_every_metric_is_explained():
    explained = set(re.findall(r"`([a-z0-9_]+)`", PAGE))
    named = {name for name in image_measures.names() if "sum_" not in name}
    suffixes = [suffix for suffix in image_measures.SUFFIXES if suffix]
    assert {f"F{suffix}" for suffix in suffixes} <= set(re.findall(r"`(F[a-z_]*)`", PAGE))
    of_one = {name + suffix for name in metrics.metrics_of(metrics.MEASURES) for suffix in suffixes}
    assert named - of_one <= explained
    assert set(pooling.METRICS) <= explained
    assert all(f"ged2_{kind}" in explained for kind in distribution.DISTANCES)
    assert set(KINDS) <= explained


def test_named_files_exist():
    root = pathlib.Path(__file__).resolve().parent.parent
    for path in re.findall(r"\]\((?!http)([^)#]+)\)", PAGE):
        assert (root / "docs" / path).exists(), path
    programs = re.findall(r"python (\S+\.py)", PAGE)
    assert programs and [path for path in programs if not (root / path).exists()] == []
