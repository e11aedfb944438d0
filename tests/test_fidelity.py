"""docs/fidelity.md names settings that exist, and forgets none that `paper` sets."""

import itertools
import pathlib
import re
import typing

import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax import model as model_lib
from bitdiff_jax import model_config
from bitdiff_jax.cli import evaluate
from bitdiff_jax.cli.train import override
from bitdiff_jax.data import labelmaps
from bitdiff_jax.training import setup
from bitdiff_jax.training.optimizer import make_optimizer

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "fidelity.md").read_text()

GROUPS = "|".join(name for name, value in config_lib.default().items() if hasattr(value, "keys"))
SETTING = re.compile(rf"((?:{GROUPS})\.[a-z0-9_.]+)(?:=(\S+))?")
SAMPLE_HINTS = typing.get_type_hints(model_lib.Model.sample)
SPANS = re.findall(r"`([^`\n]+)`", PAGE)


def settings_of(span):
    """`a.b=1/2 a.c=3` as [('a.b', ['1', '2']), ('a.c', ['3'])]; None for any other text."""
    matches = [SETTING.fullmatch(word) for word in span.split()]
    if not all(matches):
        return None
    return [(m[1], m[2].split("/") if m[2] else []) for m in matches]


BOXES = {span: found for span in SPANS if (found := settings_of(span))}


def leaves(config, path=""):
    """Dotted key -> value, of a config's every setting."""
    found = {}
    for key, value in config.items():
        if hasattr(value, "keys"):
            found |= leaves(value, f"{path}{key}.")
        else:
            found[path + key] = value
    return found


def tables():
    """Of every table: the title above it, its head and its rows, as lists of cells."""
    for section in PAGE.split("\n## ")[1:]:
        lines = [line for line in section.splitlines() if line.startswith("|")]
        if lines:
            cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
            yield section.splitlines()[0], cells[0], cells[2:]


TABLES = {title: (head, rows) for title, head, rows in tables()}


def rows_of(title):
    return TABLES[title][1]


def key_names(span):
    return {key for key, _ in settings_of(span) or []}


def test_all_tables_are_there_and_no_row_is_torn():
    numbers = [[row[0] for row in rows_of(title)] for title in list(TABLES)[:2]]
    assert numbers == [[str(n) for n in range(1, count + 1)] for count in (32, 22)]
    for title, (head, rows) in TABLES.items():
        for row in rows:
            assert len(row) == len(head) and all(row), (title, row)


@pytest.mark.parametrize("title", [t for t, (head, _) in TABLES.items() if "switch" in head[-1]])
def test_every_row_has_a_switch_or_says_why_not(title):
    options = evaluate._parser()._option_string_actions
    for row in rows_of(title):
        spans = re.findall(r"`([^`]+)`", row[-1])
        named = any(key_names(span) or span in options for span in spans)
        assert named or "no switch, because" in row[-1], row


def test_every_setting_exists():
    known = leaves(config_lib.load("base"))
    assert len(BOXES) > 50
    for span in BOXES:
        assert key_names(span) <= set(known), span


def check_names(config):
    """What is not checked when the model is built: names that sampling and input look up later."""
    known = {
        name: typing.get_args(h) for name, h in SAMPLE_HINTS.items() if name in config.sampling
    }
    known = {f"sampling.{name}": a for name, a in known.items() if a and isinstance(a[0], str)}
    known |= {
        "sampling.weights": ("ema", "raw"),
        "data.augment": tuple(setup._AUGMENTS),
        "data.label_resize": typing.get_args(labelmaps.LabelMethod),
        "data.label_padding": typing.get_args(labelmaps.LabelPadding),
    }
    found = leaves(config)
    assert {key: found[key] for key in known if found[key] not in known[key]} == {}


@pytest.mark.slow
@pytest.mark.parametrize("span", [s for s, box in BOXES.items() if any(v for _, v in box)])
def test_every_value_is_taken(span):
    box = [(key, values) for key, values in BOXES[span] if values]
    for values in itertools.product(*(values for _, values in box)):
        pairs = [f"{key}={value}" for (key, _), value in zip(box, values, strict=True)]
        # As the command line reads it: a value of another type is an error.
        config = override(config_lib.load("base"), [f"--config.{pair}" for pair in pairs])
        model_config.from_config(config)
        make_optimizer(config)
        check_names(config)


def test_the_table_of_paper_is_what_the_config_sets():
    base, paper = leaves(config_lib.load("base")), leaves(config_lib.load("paper"))
    assert base.keys() == paper.keys()
    differ = {key: (base[key], paper[key]) for key in base if base[key] != paper[key]}
    assert differ.keys() <= set().union(*map(key_names, BOXES)), "a setting is not on the page"
    rows = rows_of("What `--config paper` sets")
    assert {row[0].strip("`"): tuple(row[1:]) for row in rows} == {
        key: tuple(map(str, values)) for key, values in differ.items()
    }


def test_the_released_values_named_are_those_of_paper():
    """A value called as released is what `paper` has, wherever it has that setting's choice."""
    paper = leaves(config_lib.load("paper"))
    for span, box in BOXES.items():
        for key, values in box:
            if values == ["as_released"]:
                assert paper[key] == "as_released", span


def test_every_file_of_vectors_has_its_row():
    rows = rows_of("How fidelity is tested")
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert named == {path.stem for path in (ROOT / "tests" / "golden").glob("*.npz")}
    for row in rows:
        links = re.findall(r"\]\(([^)]+)\)", row[-1])
        assert links
        text = "".join((ROOT / "docs" / link).read_text() for link in links)
        for name in re.findall(r"`(\w+)`", row[0]):
            assert f'golden("{name}")' in text, name


def test_links_and_options_exist():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", PAGE)
    assert links
    for link in links:
        assert (ROOT / "docs" / link).exists(), link
    options = [span for span in SPANS if re.fullmatch(r"--[a-z_]+", span)]
    assert options
    for option in options:
        assert option in evaluate._parser()._option_string_actions, option
