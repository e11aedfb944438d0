"""The README promises only what runs."""

import pathlib
import re

import numpy as np
import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax.cli import compare, evaluate, evaluate_files, prepare, segment, train
from bitdiff_jax.cli import compile as compile_cli

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.S)


def commands():
    pages = [ROOT / "launch" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    text = README + "".join(page.read_text() for page in pages)
    text = text.replace("\\\n", " ")
    return re.findall(
        r"^    (bitdiff (?:train|evaluate|segment|prepare|compare|compile) .*)$", text, re.M
    )


@pytest.mark.slow
def test_the_schedule_in_ones_own_code():
    names = {}
    exec(next(snippet for snippet in SNIPPETS if "schedules.cosine" in snippet), names)
    assert names["x_t"].shape == (4, 8, 8, 6) and np.isfinite(names["x_t"]).all()


@pytest.mark.slow
def test_the_model_in_the_box(tmp_path, monkeypatch):
    """The weights load, and draw a photograph that comes with the package."""
    photo = ROOT / "bitdiff_jax" / "example_images" / "rocket.jpg"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(photo.read_bytes())
    names = {}
    snippet = next(snippet for snippet in SNIPPETS if "from_pretrained" in snippet)
    exec(snippet, names)
    result = names["result"]
    assert result.label_maps.shape == (4, 342, 512) and result.agreement.shape == (342, 512)
    # The sky is one region, whoever draws it.
    sky = result.label_map()[40:120, 150:400]
    assert np.bincount(sky.ravel()).max() > 0.8 * sky.size


def test_there_are_commands_to_check():
    assert len(commands()) >= 5


@pytest.mark.parametrize("command", commands())
def test_commands_parse(command):
    argv = command.split("#")[0].split()[1:]
    name, rest = argv[0], argv[1:]
    if name == "train":
        config = config_lib.load(rest[rest.index("--config") + 1])
        train.override(config, [a for a in rest if a.startswith("--config.")])
    elif name == "compile":
        args, overrides = compile_cli._parser().parse_known_args(rest)
        train.override(config_lib.load(args.config), overrides)
    elif name == "evaluate" and not {"--checkpoint", "--weights"} & set(rest):
        evaluate_files._parser().parse_args(rest)
    else:
        {"compare": compare, "evaluate": evaluate, "prepare": prepare, "segment": segment}[
            name
        ]._parser().parse_args(rest)


def test_named_files_exist():
    for path in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / path).exists(), path


def test_the_configs_are_all_listed():
    for name in config_lib.names():
        assert f"`{name}`" in README
