"""docs/api.md is the list of what may be imported, and the rooms hold to it."""

import ast
import importlib
import pathlib
import re
import subprocess
import sys

import pytest

import bitdiff_jax

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "api.md"


def listed() -> dict[str, list[str]]:
    """Room -> its names, from the page's headings and the tables' first columns."""
    rooms: dict[str, list[str]] = {}
    room = None
    for line in PAGE.read_text().splitlines():
        if heading := re.match(r"#+ `([\w.]+)`", line):
            room = heading[1]
            rooms[room] = []
        elif line.startswith("#"):
            room = None
        elif room and (row := re.match(r"\| (`\w+`(?:, `\w+`)*) \|", line)):
            rooms[room] += re.findall(r"`(\w+)`", row[1])
    return rooms


ROOMS = listed()


def test_every_room_is_on_the_page():
    package = pathlib.Path(bitdiff_jax.__file__).parent
    folders = {f"bitdiff_jax.{p.parent.name}" for p in package.glob("*/__init__.py")}
    internal = {"bitdiff_jax.cli", "bitdiff_jax.config_checks", "bitdiff_jax.tools"}
    assert folders - internal <= set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_the_page_and_the_room_name_the_same(room):
    module = importlib.import_module(room)
    assert sorted(ROOMS[room]) == sorted(module.__all__)
    for name in module.__all__:
        getattr(module, name)


@pytest.mark.parametrize("room", ROOMS)
def test_what_is_public_is_documented(room):
    module = importlib.import_module(room)
    for name in module.__all__:
        found = getattr(module, name)
        if callable(found) and not hasattr(found, "__origin__"):
            assert (found.__doc__ or "").strip(), f"{room}.{name} has no docstring"


def test_a_lazy_name_is_typed_as_well():
    tree = ast.parse(pathlib.Path(bitdiff_jax.__file__).read_text())
    typed = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert typed == set(bitdiff_jax.__all__)
    assert set(bitdiff_jax.__all__) <= set(dir(bitdiff_jax))
    with pytest.raises(AttributeError, match="nothing_like_this"):
        _ = bitdiff_jax.nothing_like_this


def test_importing_the_package_loads_nothing():
    code = "import sys, bitdiff_jax; print('jax' in sys.modules or 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_package_says_that_it_is_typed():
    assert (pathlib.Path(bitdiff_jax.__file__).parent / "py.typed").is_file()
