"""The notebooks of docs/notebooks run, with tiny settings."""

import pathlib
import re

import pytest
import yaml

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "docs" / "notebooks"
# What a test need not draw as often or as finely as a reader.
TINY = {
    "NUM_SAMPLES = 8": "NUM_SAMPLES = 4",
    "NUM_STEPS = 8": "NUM_STEPS = 1",
    # A network that compiles in a tenth of the time.
    "config.train.num_steps = 6": "config.train.num_steps = 6\n"
    'config.model.net.implementation = "tests.own_network:ThreeConvs"',
}
NAMES = sorted(path.name for path in FOLDER.glob("*.md"))


def cells(text):
    return re.findall(r"^```\{code-cell\} ipython3\n(.*?)^```", text, re.M | re.S)


def test_the_four_are_there_and_the_index_names_them():
    assert len(NAMES) == 4
    index = (FOLDER.parent / "index.md").read_text()
    assert [name for name in NAMES if f"notebooks/{name}" not in index] == []


@pytest.mark.parametrize("name", NAMES)
def test_jupytext_reads_it_as_a_notebook(name):
    _, head, text = (FOLDER / name).read_text().split("---\n", 2)
    about = yaml.safe_load(head)
    assert about["jupytext"]["text_representation"] == {"extension": ".md", "format_name": "myst"}
    assert about["kernelspec"]["name"] == "python3"
    assert len(cells(text)) == text.count("```") // 2 >= 4


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_its_cells_run(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BITDIFF_CACHE_DIR", "")
    names: dict = {"__name__": "notebook"}
    for number, source in enumerate(cells((FOLDER / name).read_text()), 1):
        for full, tiny in TINY.items():
            source = source.replace(full, tiny)
        exec(compile(source, f"{name}, cell {number}", "exec"), names)
    assert "Traceback" not in capsys.readouterr().out
