"""`bitdiff segment --like`: a few labelled pictures of the same kind."""

import json

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.cli import main as cli
from bitdiff_jax.data import images
from bitdiff_jax.inference import Segmenter
from bitdiff_jax.posterior.likeness import Likeness
from tests.cli.segment_files import error_line, save
from tests.inference import tiny
from tests.inference.test_model_files import with_encoder

HALVES = np.repeat([[1] * 20 + [2] * 20], 30, axis=0).astype(np.uint16)


@pytest.fixture(scope="module")
def encoding(tmp_path_factory):
    """(workdir, segmenter) of a model with an encoder."""
    workdir, _ = with_encoder(tmp_path_factory.mktemp("with_encoder"))
    return workdir, Segmenter.from_checkpoint(workdir)


@pytest.fixture
def run(encoding, monkeypatch, tmp_path):
    workdir, segmenter = encoding
    monkeypatch.setenv("BITDIFF_CACHE_DIR", "")
    monkeypatch.setattr(Segmenter, "from_loaded", lambda *_, **__: segmenter)

    def run(*arguments, out=tmp_path / "out"):
        options = [f"--checkpoint={workdir}", f"--out={out}", "--num_steps=2", "--batch_size=4"]
        return cli.main(["segment", *map(str, arguments), *options])

    return run


@pytest.fixture
def picture(tmp_path):
    return save(tmp_path / "new" / "cat.png", tiny.image(30, 40, seed=7))


def examples(folder, count=2, label_map=HALVES):
    for i in range(count):
        save(folder / "images" / f"{i}.png", tiny.image(30, 40, seed=i))
        (folder / "labels").mkdir(exist_ok=True)
        Image.fromarray(label_map).save(folder / "labels" / f"{i}.png")
    return folder


DRAW = {"num_steps": 2, "batch_size": 4}


def test_examples_say_how_samples_become_one_map(run, encoding, picture, tmp_path, capsys):
    folder, file = examples(tmp_path / "examples"), tmp_path / "like.json"
    assert run(picture, f"--like={folder}", f"--save_like={file}") == 0
    told = capsys.readouterr().out
    assert "8 sample(s)" in told and "guidance weight 0" in told
    maps = [HALVES.astype(int)] * 2
    want = encoding[1].like([tiny.image(30, 40, seed=i) for i in (0, 1)], maps, **DRAW)
    assert Likeness.load(file) == want and f"like {folder}: {want}" in told


@pytest.mark.parametrize("adopted", [True, False])
def test_what_was_fitted_before_is_used_again(run, encoding, picture, tmp_path, capsys, adopted):
    """A cut of 0 joins nothing that the default joins, and is used only if adopted."""
    values = encoding[1].like([tiny.image(30, 40)], [HALVES.astype(int)], **DRAW)
    scores = (0.1, 0.2) if adopted else (0.2, 0.1)
    found = Likeness(values.coefficients, 0.0, 1, *scores)
    found.save(tmp_path / "like.json")
    assert run(picture, f"--like={tmp_path / 'like.json'}", "--min_area=0") == 0
    assert str(found) in capsys.readouterr().out
    labels = images.read_labels(tmp_path / "out" / "cat_labels.png")
    settings = {"num_samples": 8, "temperature": 1, "guidance_weight": 0, "min_area": 0}
    free = encoding[1](picture, **settings, **DRAW)
    np.testing.assert_array_equal(labels, free.like(found).label_map())
    if adopted:
        assert labels.max() > free.label_map().max()
    else:
        np.testing.assert_array_equal(labels, free.label_map())


def test_a_share_uses_what_was_fitted_before(run, encoding, picture, tmp_path, capsys):
    found = encoding[1].like([tiny.image(30, 40)], [HALVES.astype(int)], **DRAW)
    found.save(tmp_path / "like.json")
    assert run(picture, f"--like={tmp_path / 'like.json'}", "--shard=0/1") == 0
    capsys.readouterr()
    assert run(picture, f"--like={examples(tmp_path / 'two')}", "--shard=0/1") == 2
    error_line(capsys, "--like: the jobs of --shard would fit each anew", "--save_like FILE.json")


def test_what_cannot_be_used_is_one_line(run, picture, tmp_path, capsys):
    folder = examples(tmp_path / "examples")

    def refused(*options, says):
        assert run(picture, *options) == 2
        error_line(capsys, *says)

    refused(f"--like={tmp_path / 'none'}", says=["no such folder", "ROOT/labels"])
    (tmp_path / "bare" / "labels").mkdir(parents=True)
    save(tmp_path / "bare" / "images" / "0.png", tiny.image(30, 40))
    refused(f"--like={tmp_path / 'bare'}", says=["1 of 1 pictures have no label map"])
    one = examples(tmp_path / "one", label_map=np.ones_like(HALVES))
    refused(f"--like={one}", says=["no label map has two regions", "zero=background"])
    many = examples(tmp_path / "many", 51)
    refused(f"--like={many}", says=["holds 51 labelled pictures; give 1 to 50", "bitdiff train"])
    refused(
        f"--like={folder}", "--consensus=vi", says=["--consensus vi and --like", "leave out one"]
    )
    refused("--save_like=like.json", says=["--save_like: nothing is fitted without --like"])
    (tmp_path / "other.json").write_text(json.dumps({"kind": "edits"}))
    refused(f"--like={tmp_path / 'other.json'}", says=["other.json: is not a fitted likeness"])
    refused(f"--like={folder}", "--tile_size=512", says=["--like: of no use with --tile_size"])
    refused(f"--like={folder}", "--num_samples=2", says=["num_samples", "3"])
    assert not (tmp_path / "out").exists()


def test_a_model_without_an_encoder_is_refused(
    segmenter, run, picture, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(Segmenter, "from_loaded", lambda *_, **__: segmenter)
    assert run(picture, f"--like={examples(tmp_path / 'examples')}") == 2
    error_line(capsys, "--like compares an encoder's features", "has no encoder")
