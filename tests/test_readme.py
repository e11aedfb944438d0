"""The README promises only what runs."""

import argparse
import collections
import importlib
import inspect
import pathlib
import re
import shlex

import numpy as np
import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax.cli import prepare, train
from bitdiff_jax.data import readers

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.S)


FOLDERS = ("docs/**/*.md", "launch/*.md", "bitdiff_jax/weights/*.md")
PAGES = [ROOT / "README.md", *(page for each in FOLDERS for page in sorted(ROOT.glob(each)))]
OVERRIDDEN = {"train", "compile", "quickstart", "import-reference"}  # they take --config.KEY=VALUE


def commands():
    """(page, command), of blocks that are indented, of those between fences, and within text.

    What stands within text is a command if it says what is to be read: `bitdiff segment --edges`
    speaks of an option alone.
    """
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        found = re.findall(r"^(?: {4})?(?:.* && )?(?:\S*/)?(bitdiff [a-z][a-z-]* .*)$", text, re.M)
        named = re.findall(r"`(bitdiff [a-z][a-z-]* [^`]+)`", text)
        found += [each for each in named if re.search(r" --(data|config) |^bitdiff \S+ [^-]", each)]
        for line in found:
            yield page.relative_to(ROOT).as_posix(), " ".join(line.split())


class Parsed(Exception):
    """A command line that was understood; (what was said, what is left for the config)."""


def parsed(command, monkeypatch):
    """The first thing that a subcommand does is to parse; no further."""
    parse = argparse.ArgumentParser.parse_known_args

    def stop(self, args=None, namespace=None):
        raise Parsed(*parse(self, args, namespace))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", stop)
    _, name, *rest = shlex.split(re.split(r"\s#|\s[|&>;]|\)$", command)[0])
    module = importlib.import_module(f"bitdiff_jax.cli.{name.replace('-', '_')}")
    with pytest.raises(Parsed) as found:
        module.main(rest)
    return name, *found.value.args


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
    pages = collections.Counter(page for page, _ in commands())
    for page in ("README.md", "docs/start.md", "docs/cookbook.md", "docs/shards.md"):
        assert pages[page] >= 2, page
    assert pages["docs/export.md"] >= 2 and pages["docs/weights.md"] >= 4
    assert len({command.split()[1] for _, command in commands()}) >= 12


@pytest.mark.parametrize(("page", "command"), list(commands()))
def test_commands_parse(page, command, monkeypatch):
    name, args, rest = parsed(command, monkeypatch)
    assert not rest or name in OVERRIDDEN
    assert all(each.startswith("--config.") for each in rest), rest
    config = getattr(args, "config", None) or {"quickstart": "quickstart"}.get(name, "paper")
    whole = train.override(config_lib.load(config), rest)
    if name == "train":
        assert whole.data.train, "a training begins with data"
    if name == "prepare":
        known = inspect.signature(readers.reader_class(args.kind)).parameters
        options = {"zero": args.zero} if args.zero else {}
        readers.check_options(args.kind, options | prepare._options(args.option), tuple(known))


def test_extras_are_installed_from_the_checkout():
    """The package is on no index."""
    for page in PAGES:
        for spec in re.findall(r"pip install[^\n]*?([\w./-]*\[\w+)", page.read_text()):
            assert spec.startswith((".[", "path/to/bitdiff_jax[")), f"{page.name}: {spec}"


def test_named_files_exist():
    for path in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / path).exists(), path


def test_the_configs_are_all_listed():
    for name in config_lib.names():
        assert f"`{name}`" in README
