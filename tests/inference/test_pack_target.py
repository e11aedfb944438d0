"""Where `bitdiff pack` writes, what it replaces there, and what it refuses to."""

import dataclasses

import numpy as np
import pytest

from bitdiff_jax import weights_files
from bitdiff_jax.cli import main as cli
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import load, pack
from tests.inference import tiny


@pytest.fixture(scope="module")
def loaded(workdir):
    return load(workdir)


@pytest.fixture(scope="module")
def of_another_training(loaded):
    config = loaded.config.copy_and_resolve_references()
    config.seed = loaded.config.seed + 1
    return dataclasses.replace(loaded, config=config)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(loaded, out, *parts):
    with pytest.raises(InputError) as error:
        pack(loaded, out)
    message = str(error.value)
    assert message.startswith("--out ") and "\n" not in message
    for part in parts:
        assert part in message


def test_the_same_model_gives_the_same_bytes(loaded, tmp_path):
    for number in range(4):
        pack(loaded, tmp_path / str(number) / "model")
    folders = [contents(tmp_path / str(number)) for number in range(4)]
    assert folders[0] and all(each == folders[0] for each in folders)


def test_a_file_of_the_same_training_is_replaced(workdir, loaded, tmp_path, capsys):
    path = tmp_path / "model.safetensors"
    assert pack(dataclasses.replace(loaded, step=3, param_set="raw"), path).replaced is None
    assert pack(loaded, path, dtype="float32").replaced.step == 3
    assert load(path).step == tiny.STEP
    assert cli.main(["pack", f"--checkpoint={workdir}", f"--out={path}"]) == 0
    assert f"replaced: {path} of step {tiny.STEP} (ema)\n" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["keepme.safetensors", "folder"])
def test_a_model_of_another_training_is_kept(loaded, of_another_training, tmp_path, name):
    pack(of_another_training, tmp_path / name)
    before = contents(tmp_path)
    refused(loaded, tmp_path / name, "another training (step 7", "name another one, or remove it")
    assert contents(tmp_path) == before


def test_files_of_something_else_are_kept(workdir, loaded, tmp_path):
    weights_files.write(tmp_path / "encoder.safetensors", {"a": np.zeros(3, np.float32)}, {})
    (tmp_path / "model.safetensors").write_text("notes")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "config.json").write_text("{}")
    before = contents(tmp_path)
    refused(loaded, tmp_path / "encoder.safetensors", "something else is there", "no model of")
    refused(loaded, tmp_path / "model.safetensors", "something else is there")
    refused(loaded, tmp_path, "something else is there")
    refused(loaded, tmp_path / "theirs", "holds a config.json and no model.safetensors")
    assert contents(tmp_path) == before
    refused(loaded, workdir, "is the folder of a training")


@pytest.mark.parametrize("name", ["m.txt", "m.pt", "m.safetensor", "m.SafeTensors"])
def test_an_ending_of_another_kind_is_refused(loaded, tmp_path, name):
    refused(loaded, tmp_path / name, "name it m.safetensors", f"write {tmp_path / name}/ for a fol")
    assert not list(tmp_path.iterdir())


def test_folders_with_a_dot_in_their_name(loaded, tmp_path):
    for name in ("mine-v1.5", "mine.v2/", "m.safetensors/"):
        (file, *_) = pack(loaded, f"{tmp_path}/{name}").files
        assert file == tmp_path / name / "model.safetensors"
    assert pack(loaded, tmp_path / "mine.v2").replaced.step == tiny.STEP  # there already
    refused(loaded, tmp_path / "m.safetensors", "is a folder")


def test_places_that_cannot_be_made(loaded, tmp_path):
    (tmp_path / "afile").write_text("")
    refused(loaded, "", "is empty; name a file that ends in .safetensors, or a folder")
    refused(loaded, tmp_path / "afile", f"--out {tmp_path / 'afile'}: is a file or inside one")
    refused(loaded, tmp_path / "afile" / "m.safetensors", "is a file or inside one")
