import os
import re
import shlex

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.cli import main as cli
from bitdiff_jax.data import images, specs
from bitdiff_jax.data.records.record_source import RecordSource
from bitdiff_jax.errors import InputError
from bitdiff_jax.nets.encoders import params_files
from bitdiff_jax.training import setup
from tests.test_image_features import tiny_config


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "set"
    for name in ("images", "labels"):
        (root / name).mkdir(parents=True)
    for k in range(12):
        ids = np.arange(20)[:, None] // 5 + np.zeros((20, 30), int)
        Image.fromarray(np.full((20, 30, 3), 10 * k, np.uint8)).save(root / f"images/{k:02d}.png")
        images.write_labels(root / f"labels/{k:02d}.png", ids)
    return root


def run(*argv):
    return cli.main(["prepare", *map(str, argv)])


def failed(capsys, *argv):
    assert run(*argv) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and err.startswith("bitdiff prepare: error: ")
    return err


def test_a_folder_becomes_records(folder, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ("folder", "--source", folder, "--out", out, "--size=15", "--workers=0")
    error = failed(capsys, *arguments)
    assert "id 0 covers 25%" in error and "zero" in error
    assert not list(out.iterdir())
    (folder / "images" / "03.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    assert run(*arguments, "--zero=region") == 0
    text, progress = capsys.readouterr()
    assert (out / "summary.txt").read_text() in text and f"records:{out}" in text
    assert "03.png" in text and "skipped (1):" in text
    assert re.fullmatch(r"12 of 12 pictures, \d+ a second, 0:00 left\n", progress)
    source = RecordSource(out)
    assert source.names == tuple(f"{k:02d}" for k in range(12) if k != 3)
    item = source[5]
    assert item["image"].shape == (10, 15, 3) and abs(int(item["image"][0, 0, 0]) - 60) < 3
    assert np.unique(item["labels"][0]).tolist() == [0, 1, 2, 3]
    # The same by another word; and started again it has nothing to do.
    assert run(*arguments, "--option", "zero=region") == 0
    assert capsys.readouterr().err == ""
    assert "--strict" in failed(capsys, *arguments, "--zero=region", "--strict")
    assert "size=15, not 128" in failed(capsys, *(*arguments, "--size=128", "--zero=region"))


@pytest.mark.parametrize("name", ["plain", "a, b; c", 'say "records"', "it's"])
def test_the_spec_that_is_printed_can_be_used(folder, tmp_path, capsys, name):
    out = tmp_path / name
    arguments = ("--zero=region", "--size=15", "--workers=0")
    assert run("folder", "--source", folder, "--out", tmp_path / "one", *arguments) == 0
    assert "split" not in capsys.readouterr().out.splitlines()[-1]  # there are none
    (folder / "splits.json").write_text('{"train": ["03", "07"], "val": ["05"]}')
    assert run("folder", "--source", folder, "--out", f"{out}/", *arguments) == 0
    words = shlex.split(capsys.readouterr().out.splitlines()[-1].replace(", or one", " , or one"))
    spec = words[words.index("--data") + 1]
    assert len(specs.open_source(spec, image_size=16)) == 3
    assert words[-1] == f"{spec},split=NAME"
    assert len(specs.open_sources(f"{spec},split=val;{spec}", image_size=16)[0]) == 2


def test_paths_at_home(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    arguments = ("--zero=region", "--size=15", "--workers=0")
    assert run("folder", "--source=~/set", "--out=~/out", *arguments) == 0
    assert f"records:{tmp_path}/out" in capsys.readouterr().out
    assert len(specs.open_source("records:~/out", image_size=16)) == 12


@pytest.mark.slow
def test_names_that_are_no_text(folder, tmp_path, capsys):
    named = os.fsencode(tmp_path) + b"/se\xe9"
    os.rename(folder, named)
    for place in (b"/images/", b"/labels/"):
        for number in (b"01", b"02"):
            os.rename(named + place + number + b".png", named + place + number + b"\xe9.png")
    with open(named + b"/images/02\xe9.png", "wb") as file:
        file.write(b"broken")
    source = ("--source", os.fsdecode(named), "--zero=region", "--size=15", "--workers=1")
    assert run("folder", *source, "--out", tmp_path / "out") == 0
    assert r"02\xe9" in capsys.readouterr().out
    assert r"01\xe9" in RecordSource(tmp_path / "out").names
    out = os.fsdecode(os.fsencode(tmp_path) + b"/ou\xe9")
    assert "not text in UTF-8" in failed(capsys, "folder", *source, "--out", out)


def test_what_a_system_leaves_in_the_folder_does_not_matter(folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".DS_Store").write_bytes(b"x")
    arguments = ("--zero=region", "--size=15", "--workers=0")
    assert run("folder", "--source", folder, "--out", tmp_path / "out", *arguments) == 0


def test_what_a_user_can_mend(folder, tmp_path, capsys):
    to = ("--source", folder, "--out", tmp_path / "out")
    assert "unknown kind of data 'foldr'" in failed(capsys, "foldr", *to)
    assert "key=value" in failed(capsys, "folder", *to, "--option", "zero")
    assert "no split 'a'" in failed(capsys, "folder", *to, "--splits=a", "--zero=region")
    assert "colour=red" in failed(capsys, "folder", *to, "--option", "colour=red")
    assert "no such folder" in failed(
        capsys, "folder", "--source", tmp_path / "none", "--out", tmp_path / "out"
    )


@pytest.mark.parametrize("argv", [(), ("folder",), ("--size=-1",), ("--image_format=gif",)])
def test_usage(argv, capsys):
    with pytest.raises(SystemExit) as error:
        run(*argv, *(("folder", "--source=a", "--out=b") if argv and argv[0][0] == "-" else ()))
    assert error.value.code == 2 and "see bitdiff prepare --help" in capsys.readouterr().err


def test_a_folder_without_splits_says_how_to_get_them(folder, tmp_path, capsys):
    arguments = ("folder", "--source", folder, "--zero=region", "--size=15", "--workers=0")
    error = failed(capsys, *arguments, "--out", tmp_path / "out", "--splits=train")
    assert "leave --splits out" in error and "splits.json" in error
    assert run(*arguments, "--out", tmp_path / "out") == 0
    with pytest.raises(InputError, match=r"no split 'train'; .* leave split= out") as told:
        specs.open_source(f"records:{tmp_path / 'out'},split=train", image_size=16)
    # What it says to write is what works.
    text = re.search(r"splits.json of the source, (\{.*\}),", str(told.value))[1]
    (folder / "splits.json").write_text(text.replace('"ID", ...', '"03", "07"'))
    assert run(*arguments, "--out", tmp_path / "again") == 0
    source = specs.open_source(f"records:{tmp_path / 'again'},split=train", image_size=16)
    assert [item["name"] for item in source] == ["03", "07"]


@pytest.mark.slow
def test_features_of_an_encoder_lie_beside_the_records(folder, tmp_path, capsys):
    """And a training that has no encoder in its step reads them."""
    params = {"gain": np.float32([1, 2, 3])}
    encoder, weights = "tests.own_encoder:Means", tmp_path / "means.safetensors"
    params_files.save_params(weights, params)
    out = tmp_path / "out"
    arguments = ("folder", "--source", folder, "--out", out, "--zero=region", "--workers=0")
    error = failed(capsys, *arguments, "--encoder=mobile_san")
    assert "mobile_sam" in error and not out.exists()  # before the pictures are read
    error = failed(capsys, *arguments, "--encoder=mobile_sam", f"--encoder_weights={weights}")
    assert f"{weights}: has no tensor" in error and not out.exists()
    assert run(*arguments, f"--encoder={encoder}", f"--encoder_weights={weights}") == 0
    text, progress = capsys.readouterr()
    assert f"features of {encoder}: {out}/features/means-32-" in text
    last = r"^features of 12 of 12 pictures, .*, 0:00 left$"
    assert len(re.findall(last, progress, re.MULTILINE)) == 1
    shard = min((out / "features").glob("means-32-*/*.array_record*"))
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    assert run(*arguments, f"--encoder={encoder}", f"--encoder_weights={weights}") == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"warning: {shard}: is damaged (")
    assert lines[1] == "features of 6 of 12 pictures were there already"
    assert shard.read_bytes() == whole

    config = tiny_config(weights=str(weights))
    config.data.train = f"records:{out}"
    config.data.augment = "geometry"
    config.eval.data = f"records:{out}"
    losses = {}
    for where in ("cache", "step"):
        config.data.features = where
        made = setup.prepare(config)
        batch = next(made.open_batches(1))
        assert ("cell_values" in batch) == (where == "cache")
        state, metrics = made.train_step(made.init(), batch, made.key)
        losses[where] = float(metrics["loss"])
        assert "ari" in str(made.evaluator(state)[0])
    # A crop's border cells differ: one was computed with what lies beyond.
    assert losses["cache"] == pytest.approx(losses["step"], rel=0.03)
    config.model.encoder.tuned = True
    with pytest.raises(InputError, match=r"data.features=cache holds .* a frozen encoder"):
        config.data.features = "cache"
        setup.prepare(config)
    config.data.features = "auto"
    made = setup.prepare(config)
    state = made.init()
    np.testing.assert_array_equal(state.params["encoder"]["gain"], params["gain"])
    config.optimizer.warmup_steps = 1
    stepped, _ = made.train_step(state, next(made.open_batches(1)), made.key)
    moved = np.abs(stepped.params["encoder"]["gain"] - params["gain"]).max()
    ratio = config.optimizer.encoder_learning_rate / config.optimizer.learning_rate
    others = np.abs(
        stepped.params["net"]["first"]["kernel"] - made.init().params["net"]["first"]["kernel"]
    ).max()
    assert moved == pytest.approx(others * ratio, rel=0.1)
    config.model.encoder.tuned = False
    config.model.encoder.weights = str(tmp_path / "other.safetensors")
    params_files.save_params(config.model.encoder.weights, {"gain": np.float32([1, 2, 4])})
    config.data.features = "cache"
    with pytest.raises(InputError, match=r"no features of means .*write them by"):
        setup.prepare(config)
    config.data.train = f"folder:{folder},zero=region"
    with pytest.raises(InputError, match="which only prepared records can have"):
        setup.prepare(config)
