"""docs/tiles.md: its example runs, and what it names is there."""

import pathlib
import re

import numpy as np

from bitdiff_jax.cli import segment
from tests.inference import tiny

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "tiles.md").read_text()


def test_the_example_runs(tmp_path):
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    np.save(tmp_path / "image.npy", tiny.image(40, 60))
    names = {"np": np, "segmenter": tiny.shared()[1]}
    paths = {"image_file": tmp_path / "image.npy", "map_file": tmp_path / "map.npy"}
    exec(block, names | paths)
    assert np.load(tmp_path / "map.npy").shape == (40, 60)


def test_options_and_programs_are_there():
    text = segment._parser().format_help()
    options = re.findall(r"--(\w+)", "\n".join(line for line in PAGE.splitlines()))
    assert "tile_size" in options
    for option in {"tile_size", "num_samples"} & set(options):
        assert f"--{option}" in text
    for program in re.findall(r"python -m (benchmarks\.[\w.]+)", PAGE):
        assert (ROOT / f"{program.replace('.', '/')}.py").exists()
    for module in re.findall(r"`inference\.(\w+)`", PAGE):
        assert (ROOT / "bitdiff_jax" / "inference" / f"{module}.py").exists()
