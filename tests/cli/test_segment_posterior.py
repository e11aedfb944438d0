"""`bitdiff segment` with several samples: consensus, boundary probability, modes, intervals."""

import csv
import dataclasses
import shutil
import sys
import types

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.cli import options, segment
from bitdiff_jax.data import images
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.inference import formats
from bitdiff_jax.posterior.consensus import CRITERIA
from tests.cli.segment_files import error_line, files, rows, save, table
from tests.inference import tiny

OF_ALL = ["_boundary.npy", "_boundary.png", "_mode1.png", "_mode2.png", "_modes.png"]
OF_EACH = [
    "_agreement.png",
    *OF_ALL[:2],
    "_colours.png",
    "_labels.png",
    *OF_ALL[2:],
    "_overlay.png",
]


@pytest.fixture
def picture(tmp_path):
    return save(tmp_path / "cat.png", tiny.image(40, 60))


def modes(out):
    with open(out / "modes.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_what_eight_samples_say_together(run, segmenter, picture, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(picture, "--num_samples=8") == 0
    tables = ["images.csv", "modes.csv", "overview.png", "regions.csv"]
    assert files(out) == [*sorted(f"cat{each}" for each in OF_EACH), *tables]
    want = segmenter(picture, num_samples=8, num_steps=2, batch_size=4)
    assert want.guided and want.posterior.guided
    np.testing.assert_array_equal(images.read_labels(out / "cat_labels.png"), want.label_map())
    np.testing.assert_array_equal(np.load(out / "cat_boundary.npy"), want.boundary_probability)
    for row, mode in zip(modes(out), want.modes(2), strict=True):
        assert row["file"] == str(picture) and float(row["weight"]) == mode.weight
        assert int(row["sample"]) == mode.medoid
        ids = images.read_labels(out / f"cat_mode{row['mode']}.png")
        np.testing.assert_array_equal(ids, mode.label_map)
        assert int(row["num_regions"]) == ids.max()
    (image,) = rows(out)
    low, high = (int(image[f"num_regions_{end}"]) for end in ("low", "high"))
    assert (low, high) == want.num_regions_interval
    intervals = [(int(row["area_low"]), int(row["area_high"])) for row in table(out)]
    assert intervals == [region.area_interval for region in want.regions()]
    told = capsys.readouterr().out
    assert f"{image['num_regions']} regions ({low} to {high} in 90 % of samples)" in told
    assert told.count("guidance weight 1 sharpens the samples") == 1


def test_a_single_sample_has_no_intervals(run, picture, tmp_path, capsys):
    assert run(picture, "--num_samples=1") == 0
    (image,) = rows(tmp_path / "out")
    assert (image["num_regions_low"], image["num_regions_high"]) == ("", "")
    assert {(row["area_low"], row["area_high"]) for row in table(tmp_path / "out")} == {("", "")}
    told = capsys.readouterr().out
    assert "of samples" not in told and "sharpen" not in told


def test_what_sharpens_is_not_said_where_no_probabilities_are_written(run, picture, capsys):
    assert run(picture, "--num_samples=2") == 0
    assert "sharpens the samples" not in capsys.readouterr().out


@pytest.mark.parametrize("criterion", ["vi", "medoid", "none"])
def test_the_criterion_is_chosen(run, segmenter, picture, tmp_path, criterion):
    assert run(picture, "--num_samples=8", f"--consensus={criterion}") == 0
    drawn = segmenter(picture, num_samples=8, num_steps=2, batch_size=4)
    of_samples = "medoid" if criterion == "none" else criterion
    want = dataclasses.replace(drawn, criterion=of_samples).label_map()
    written = tmp_path / "out" / "cat_labels.png"
    np.testing.assert_array_equal(images.read_labels(written), want)
    there = set(files(tmp_path / "out"))
    assert ({f"cat{each}" for each in OF_ALL} | {"modes.csv"}).isdisjoint(there) == (
        criterion == "none"
    )


def test_a_criterion_that_does_not_exist_is_refused(run, picture, capsys, monkeypatch):
    monkeypatch.setattr(options, "load_weights", lambda *_: pytest.fail("loaded"))
    assert run(picture, "--consensus=linkages") == 2
    error_line(capsys, "--consensus is 'linkages'", "none; did you mean linkage?")


def test_help_names_every_criterion(capsys):
    text = " ".join(segment._parser().format_help().split())
    line = text[text.index("by which one map is found") :]
    assert all(criterion in line.split("neither")[0] for criterion in (*CRITERIA, "none"))
    assert f"({','.join(formats.DEFAULT)})" in text.replace(" ", "")  # it may be broken


def test_other_options_leave_nothing_of_the_earlier_ones(run, picture, tmp_path):
    other = save(tmp_path / "dog.png", tiny.image(20, 20, seed=1))
    out = tmp_path / "out"
    assert run(picture, other, "--num_samples=8") == 0
    before = {path.name: path.read_bytes() for path in out.glob("dog_*")}
    assert len(before) == len(OF_EACH) and {row["image"] for row in modes(out)} == {"cat", "dog"}
    other.write_text("not a picture any more")
    assert run(picture, other, "--num_samples=4") == 1
    assert sorted(path.name for path in out.glob("cat_*")) == [
        f"cat_{kind}.png" for kind in ("agreement", "colours", "labels", "overlay")
    ]
    # What can no longer be read stays, with its rows.
    assert {path.name: path.read_bytes() for path in out.glob("dog_*")} == before
    assert {row["image"] for row in modes(out)} == {"dog"}
    save(other, tiny.image(20, 20, seed=1))
    assert run(picture, other, "--num_samples=8", "--formats=id_png,boundary") == 0
    assert len(list(out.glob("*_boundary.*"))) == 4 and not list(out.glob("*_mode*"))
    assert not (out / "modes.csv").exists()


def test_rows_of_modes_follow_a_killed_command(run, picture, tmp_path, monkeypatch):
    paths = [picture, save(tmp_path / "dog.png", tiny.image(20, 20, seed=1))]
    left = tmp_path / "left"
    module = types.ModuleType("own_act")

    def write(segmentation, folder, name):
        (folder / f"{name}_modes.png").write_text("half")
        if name == "dog":
            shutil.copytree(folder, left)  # what kill -9 leaves

    module.write = write
    monkeypatch.setitem(sys.modules, "own_act", module)
    assert run(*paths, "--num_samples=8", "--formats=modes,own_act:write") == 0
    (left / ".modes.csv.123.tmp").write_text("a quarter")
    assert [row["image"] for row in modes(left)] == ["cat", "cat"]
    assert run(*paths, "--num_samples=8", "--formats=modes", out=left) == 0
    assert [row["image"] for row in modes(left)] == ["cat", "cat", "dog", "dog"]
    assert not (left / ".modes.csv.123.tmp").exists()
    assert Image.open(left / "dog_modes.png").size[0] > 20


def test_a_table_of_modes_that_no_command_wrote_is_not_lost(run, picture, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "modes.csv").write_text("mine")
    assert run(picture) == 2
    error_line(capsys, "--out", "modes.csv", "name another folder, or remove it")
    assert files(out) == ["modes.csv"] and (out / "modes.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("sampler", "says"),
    [
        (Sampler(guidance_weight=0.0), ""),
        (Sampler(guidance_weight=None, temperature=2.0), ""),
        (Sampler(guidance_weight=2.5), "guidance weight 2.5 sharpens the samples"),
        (Sampler(guidance_weight=0.0, temperature=0.1), "temperature 0.1 sharpens the samples"),
        (Sampler(temperature=0.1), "guidance weight 1 and temperature 0.1 sharpen the samples"),
    ],
)
def test_what_sharpens_the_samples_is_said_with_the_remedy(sampler, says):
    text = segment._sharpened(sampler)
    assert text.startswith(says) and bool(text) == bool(says) and "\n" not in text
    for option in ("guidance", "temperature"):
        assert (f"--{option}" in text) == (option in says)


def test_appearance_is_refused_of_a_model_without_an_encoder(run, picture, tmp_path, capsys):
    assert run(picture, "--consensus=appearance") == 2
    error_line(capsys, "--consensus is 'appearance'", "has no encoder; use vi")
    assert not (tmp_path / "out").exists()
