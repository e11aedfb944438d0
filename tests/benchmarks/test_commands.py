"""Commands of the pages that start a benchmark, or draw a picture of the docs, are understood."""

import argparse
import importlib
import pathlib
import re
import shlex
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("bitdiff_jax/weights/*.md")),
]
# Of extras, which need not be there.
PEERS = {"gradio_client", "onnxruntime", "skimage", "sklearn", "torch"}


def commands():
    """(page, command), of indented blocks and within text, where a line may end in the middle."""
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        found = re.findall(r"^ {4}(python3? (?:-m benchmarks\.|benchmarks/|docs/).*)$", text, re.M)
        found += re.findall(r"`(python3? (?:-m benchmarks\.\w|benchmarks/|docs/)[^`]*)`", text)
        for line in found:
            yield page.relative_to(ROOT).as_posix(), " ".join(line.split())


class Parsed(Exception):
    """A command line that was understood; what is left of it."""


def test_there_are_commands():
    found = [command for _, command in commands()]
    assert len(found) >= 40 and len({command.split()[1:3][-1] for command in found}) >= 20


@pytest.mark.parametrize(("page", "command"), list(commands()))
def test_a_command_is_understood(page, command, monkeypatch, tmp_path):
    argv = shlex.split(command, comments=True)[1:]
    name = argv[1] if argv[0] == "-m" else argv[0].removesuffix(".py").replace("/", ".")
    argv = argv[2:] if argv[0] == "-m" else argv[1:]
    assert (ROOT / f"{name.replace('.', '/')}.py").exists()
    parse = argparse.ArgumentParser.parse_known_args

    def stop(self, args=None, namespace=None):
        raise Parsed(parse(self, args, namespace)[1])

    monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", stop)
    monkeypatch.setattr(sys, "argv", [name, *argv])
    monkeypatch.chdir(tmp_path)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in PEERS:
            raise
        pytest.skip(f"{error.name} is not installed")
    with pytest.raises(Parsed) as left:
        module.main()
    assert left.value.args == ([],)
