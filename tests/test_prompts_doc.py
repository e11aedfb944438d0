"""docs/prompts.md: its examples run, and it names every edit and option."""

import pathlib
import re

import numpy as np

from bitdiff_jax.cli import segment
from bitdiff_jax.inference import Editor
from tests.inference import tiny

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "prompts.md").read_text()


def test_the_examples_run(tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    assert len(blocks) == 4
    names = {"np": np, "segmenter": tiny.shared()[1], "image": tiny.image(40, 60)}
    exec("\n".join(blocks), names | {"path": tmp_path / "edits.json"})


def test_every_edit_and_option_is_named():
    for edit in ("merge", "split", "paint", "redraw", "undo", "redo", "save", "history"):
        assert hasattr(Editor, edit) and re.search(rf"`{edit}[(`]", PAGE)
    text = segment._parser().format_help()
    for option in ("--keep", "--unknown", "--same", "--different", "--prompt_weight"):
        assert option in text and option.removeprefix("--") in PAGE
    programs = re.findall(r"python -m (benchmarks\.[\w.]+)", PAGE)
    assert programs and all((ROOT / f"{p.replace('.', '/')}.py").exists() for p in programs)
