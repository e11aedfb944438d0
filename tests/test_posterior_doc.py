"""docs/posterior.md: its example runs, and it names every criterion."""

import pathlib
import re

from bitdiff_jax.posterior.consensus import CRITERIA

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "posterior.md").read_text()


def test_the_example_runs():
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    assert len(blocks) >= 5
    exec("\n".join(blocks), {})


def test_every_criterion_is_explained():
    assert set(CRITERIA) <= set(re.findall(r"consensus\('(\w+)'\)", PAGE))


def test_named_programs_exist():
    programs = re.findall(r"python (\S+\.py)", PAGE)
    assert programs and [path for path in programs if not (ROOT / path).exists()] == []
