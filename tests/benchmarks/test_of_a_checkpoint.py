"""Benchmarks that draw by a model and hold its maps against several people's, from the flags on."""

import numpy as np
import pytest
from PIL import Image

from benchmarks.quality import consensus, diversity, edges, questions
from bitdiff_jax.data import images
from tests.inference import tiny

FEW = ["--num_samples=2", "--temperature=1", "--guidance_weight=0"]


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """The spec of two images with the maps of two people each."""
    folder = tmp_path_factory.mktemp("people")
    for part in ("images", "labels"):
        (folder / part).mkdir()
    for name, edges_of in (("a", (20, 30)), ("b", (15, 45))):
        Image.fromarray(tiny.image(40, 60)).save(folder / "images" / f"{name}.png")
        for k, edge in enumerate(edges_of):
            labels = np.ones((40, 60), np.int32)
            labels[:, edge:] = 2
            images.write_labels(folder / "labels" / f"{name}_{k}.png", labels)
    return f"folder:{folder},zero=region"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("benchmark", "options", "told"),
    [
        (consensus, ["--as_written", "--criteria", "medoid", "vi"], "64 px: 2 images"),
        (diversity, [], "2 images with two annotators or more"),
        (edges, None, ", 2 images"),
        (questions, ["--reliability", "1", ".8", "--answers", "1"], "2 images, ARI without"),
    ],
)
def test_its_table_is_of_a_checkpoints_maps(benchmark, options, told, people, capsys):
    flags = [f"--data={people}", f"--checkpoint={tiny.shared()[0]}", "--size=64"]
    benchmark.main(flags if options is None else [*flags, *FEW, *options])
    lines = capsys.readouterr().out.splitlines()
    assert told in lines[0] and len(lines) >= 4
    assert all("nan" not in line for line in lines)
