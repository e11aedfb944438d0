"""Checkpoint -> file -> model: the same maps, and what is wrong with a file in one line."""

import argparse
import dataclasses
import hashlib
import json
import subprocess
import sys

import jax
import numpy as np
import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax import weights_files
from bitdiff_jax.cli import options
from bitdiff_jax.diffusion import sampler as sampler_lib
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import (
    Segmenter,
    drawing,
    load,
    model_files,
    named_params,
    pack,
    weights_names,
)
from bitdiff_jax.nets import encoders
from tests.inference import tiny

LICENCE = "research, non-commercial"


@pytest.fixture(scope="module")
def packed(workdir, tmp_path_factory):
    """The tiny checkpoint as a file, in float32."""
    path = tmp_path_factory.mktemp("packed") / "tiny.safetensors"
    pack(load(workdir), path, dtype="float32", licence=LICENCE, data_sets="none")
    return path


def encoder_weights(path, gain):
    """A file of weights of the encoder `Means`."""
    encoders.save_params(path, {"gain": np.float32([gain, 1, 1])}, dtype=np.float32)
    return str(path)


def with_encoder(folder, **encoder):
    """A checkpoint of a model with an encoder, and the file of the encoder's weights."""
    config = config_lib.load("base:smoke")
    config.model.image_size = 16
    config.model.net.implementation = "tests.own_network:ThreeConvs"
    weights = encoder_weights(folder / "means.safetensors", 0.5)
    config.model.encoder.update(
        {"name": "tests.own_encoder:Means", "grid": 8, "channels": 5, "weights": weights, **encoder}
    )
    return tiny.save_checkpoint(folder / "run", config), weights


def equal(a, b):
    return jax.tree.all(jax.tree.map(np.array_equal, a, b))


def refused(path, *parts, **kwargs):
    with pytest.raises(InputError) as error:
        load(path, **kwargs)
    message = str(error.value)
    assert "\n" not in message and str(path) in message
    for part in parts:
        assert part in message


def rewritten(path, out, tensors=None, **metadata):
    """The file as somebody would write it who has other tensors or metadata."""
    file = weights_files.read(path)
    metadata = {**file.metadata, **metadata}
    metadata = {name: text for name, text in metadata.items() if text is not None}
    if "metadata_sha256" in metadata:
        metadata["metadata_sha256"] = model_files.metadata_hash(metadata)
    weights_files.write(out, tensors or file.tensors, metadata)
    return out


def test_a_file_holds_the_checkpoint(workdir, packed):
    there, back = load(workdir), load(packed)
    assert equal(back.params, there.params)
    assert back.model == there.model
    assert back.config.model.to_dict() == there.config.model.to_dict()
    assert (back.step, back.trained_on, back.param_set) == (tiny.STEP, tiny.TRAINED_ON, "ema")
    assert (back.licence, back.data_sets, there.licence) == (LICENCE, "none", "")
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(back.params))
    file = weights_files.read(packed)
    assert all(name.startswith("net/") for name in file.tensors)
    assert file.metadata["format"] == model_files.FORMAT
    assert file.metadata["sha256"] == encoders.weights_hash(dict(file.tensors))
    assert json.loads(file.metadata["config"])["data"]["train"] == ""


def test_bfloat16_is_the_checkpoint_to_eight_bits(workdir, tmp_path):
    path = tmp_path / "low.safetensors"
    assert pack(load(workdir), path).files == (path,)
    file = weights_files.read(path)
    assert {str(each.dtype) for each in file.tensors.values()} == {"bfloat16"}
    for exact, low in zip(
        jax.tree.leaves(load(workdir).params), jax.tree.leaves(load(path).params), strict=True
    ):
        np.testing.assert_allclose(low, exact, rtol=2**-8)


def test_eight_bits_are_the_checkpoint_to_a_127th_of_each_channel(workdir, tmp_path):
    path = tmp_path / "small.safetensors"
    packed = pack(load(workdir), path, dtype="int8")
    there = named_params.by_name(load(workdir).model, load(workdir).params)
    back = named_params.by_name(load(path).model, load(path).params)
    assert packed.num_params == sum(each.size for each in there.values())
    for name, each in there.items():
        largest = np.abs(each).max(tuple(range(each.ndim - 1)))
        bound = largest / 127 * 0.501 if each.ndim > 1 else np.abs(each) * 2**-8
        assert (np.abs(back[name] - each) <= bound).all(), name
    tensors = dict(weights_files.read(path).tensors)
    stored = {str(value.dtype) for value in tensors.values()}
    assert stored == {"int8", "float32", "bfloat16"}
    lost = next(name for name in tensors if name.startswith("scales/"))
    del tensors[lost.removeprefix("scales/")]
    rewritten(path, path, tensors, sha256=encoders.weights_hash(tensors))
    refused(path, "is damaged", f"{lost} has no tensor in 8 bits", "copy it again")


@pytest.mark.slow
def test_a_file_draws_the_maps_of_its_checkpoint(segmenter, packed):
    image = tiny.image(20, 30)
    again = Segmenter.from_pretrained(packed)
    assert again.licence == LICENCE and again.step == tiny.STEP
    want = segmenter(image, num_samples=2, num_steps=2)
    np.testing.assert_array_equal(again(image, num_samples=2, num_steps=2).codes, want.codes)


def test_terms_of_use_are_told_once(packed, tmp_path, caplog):
    path = rewritten(packed, tmp_path / "told.safetensors")
    other = rewritten(packed, tmp_path / "other.safetensors")
    for each in (path, path, other):
        Segmenter.from_pretrained(each)
    assert [(each.name, each.levelname, each.getMessage()) for each in caplog.records] == [
        ("bitdiff_jax.inference.segmenter", "WARNING", f"{each}: terms of use: {LICENCE}")
        for each in (path, other)
    ]


def test_terms_of_use_that_a_training_inherits_are_told(tmp_path, caplog):
    run = tiny.save_checkpoint(tmp_path, edit_about=lambda about: about.update(licence=LICENCE))
    assert Segmenter.from_checkpoint(run).licence == LICENCE
    assert [each.getMessage() for each in caplog.records] == [f"{run}: terms of use: {LICENCE}"]


def test_terms_of_use_are_a_line_where_nothing_is_set_up(packed):
    code = f"from bitdiff_jax import Segmenter; Segmenter.from_pretrained({str(packed)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    assert f"{packed}: terms of use: {LICENCE}" in done.stderr.splitlines()


@pytest.mark.slow
def test_a_frozen_encoder_is_named_by_its_hash(tmp_path):
    run, weights = with_encoder(tmp_path)
    path = tmp_path / "model.safetensors"
    about = pack(load(run), path, dtype="float32").about
    assert (about.encoder, about.encoder_hash) == ("means", encoders.weights_hash(weights))
    names = weights_files.read(path).tensors.keys()
    assert {name.partition("/")[0] for name in names} == {"net", "features"}
    assert equal(load(path).params, load(run).params)
    image = tiny.image(20, 30)
    maps = [
        Segmenter.from_loaded(load(each))(image, sampler=Sampler(num_steps=2)).codes
        for each in (run, path)
    ]
    np.testing.assert_array_equal(*maps)

    encoder_weights(weights, 0.25)
    remedy = f"copy the file that it was trained with to {weights}, where config.model.encoder"
    refused(path, "means", about.encoder_hash[:12], encoders.weights_hash(weights)[:12], remedy)
    (tmp_path / "means.safetensors").unlink()
    refused(path, "means", about.encoder_hash[:12], "there is none here", remedy)


def test_weights_of_the_package_stand_for_a_lost_file_of_the_same(tmp_path, monkeypatch):
    run, _ = with_encoder(tmp_path)
    path, own = tmp_path / "model.safetensors", tmp_path / "own"
    own.mkdir()
    pack(load(run), path)
    (tmp_path / "means.safetensors").rename(own / "means.safetensors")
    monkeypatch.setattr(encoders.params_files, "_BUNDLED", own)
    np.testing.assert_array_equal(load(path).params["encoder"]["gain"], [0.5, 1, 1])
    again = pack(load(path), tmp_path / "again.safetensors").about
    assert again.config["model"]["encoder"]["weights"] == ""

    encoder_weights(own / "means.safetensors", 0.25)  # as another version may have it
    refused(tmp_path / "again.safetensors", "the package has", "install the version of bitdiff_jax")


def test_a_tuned_encoder_is_in_the_file_in_float16(tmp_path):
    run, _ = with_encoder(tmp_path, tuned=True)
    path = tmp_path / "model.safetensors"
    about = pack(load(run), path).about
    assert (about.encoder, about.encoder_hash) == ("means", "")
    assert weights_files.read(path).tensors["encoder/gain"].dtype == np.float16
    assert load(path).params.keys() == {"net", "features", "encoder"}


def test_a_folder_can_be_pushed_as_it_is(workdir, tmp_path):
    packed = pack(load(workdir), tmp_path / "hub" / "tiny", licence=LICENCE)
    folder = tmp_path / "hub" / "tiny"
    names = ["README.md", "config.json", "model.safetensors"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert json.loads((folder / "config.json").read_text())["model"]["image_size"] == tiny.SIZE
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlicense: other\nlibrary_name: bitdiff_jax\n")
    assert LICENCE in card and tiny.TRAINED_ON in card and f"{packed.num_params:,}" in card
    assert load(folder).step == tiny.STEP

    (folder / "README.md").write_text("mine")
    again = pack(load(workdir), folder)
    assert [path.name for path in again.kept] == ["README.md"]
    assert (folder / "README.md").read_text() == "mine"


def test_a_card_says_another_temperature_than_1(tmp_path):
    for temperature, words in (
        (1.0, "2 steps, guidance 1 |"),
        (0.3, "guidance 1, temperature 0.3 |"),
    ):
        config = tiny.tiny_config()
        config.sampling.temperature = temperature
        run, out = tmp_path / f"run{temperature}", tmp_path / f"out{temperature}"
        pack(load(tiny.save_checkpoint(run, config)), out)
        assert words in (out / "README.md").read_text()
        assert Segmenter.from_pretrained(out).sampler.temperature == temperature


def test_a_folder_without_terms_states_no_licence(workdir, tmp_path):
    pack(load(workdir), tmp_path / "free")
    assert "license" not in (tmp_path / "free" / "README.md").read_text()


def test_bad_arguments_of_pack(workdir, tmp_path):
    loaded = load(workdir)
    with pytest.raises(InputError, match="dtype is 'int4'; use one of bfloat16"):
        pack(loaded, tmp_path / "a.safetensors", dtype="int4")
    with pytest.raises(InputError, match="licence has several lines"):
        pack(loaded, tmp_path / "a.safetensors", licence="a\nb")
    with pytest.raises(InputError, match="data_sets has several lines"):
        pack(loaded, tmp_path / "a.safetensors", data_sets="a\rb")
    with pytest.raises(InputError, match=r"trained_on is 'a\\udcff', which is not text in UTF-8"):
        pack(loaded, tmp_path / "a.safetensors", trained_on="a\udcff")
    large = jax.tree.map(lambda x: x * 1e6 + 1e6, loaded.params)
    with pytest.raises(InputError, match="is not finite in float16; give a dtype with more range"):
        pack(dataclasses.replace(loaded, params=large), tmp_path / "a.safetensors", dtype="float16")
    assert not list(tmp_path.iterdir())


def test_a_file_cut_short_is_refused(packed, tmp_path):
    whole = packed.read_bytes()
    for length in (0, 200, len(whole) // 2, len(whole) - 1):
        path = tmp_path / f"{length}.safetensors"
        path.write_bytes(whole[:length])
        refused(path, "is not a whole safetensors file" if length else "0 bytes")


def test_a_file_whose_hash_is_not_the_stated_one_is_refused(packed, tmp_path):
    data = bytearray(packed.read_bytes())
    data[-1] ^= 1
    path = tmp_path / "flipped.safetensors"
    path.write_bytes(data)
    stated = weights_files.read(packed).metadata["sha256"]
    refused(path, stated[:12], "fetch or copy it again")


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("format_version", "new", "invalid literal"),
        ("step", '"abc"', "a whole number of 0 or more"),
        ("step", "-1", "a whole number of 0 or more"),
        ("step", "7.5", "a whole number of 0 or more"),
        ("step", "true", "a whole number of 0 or more"),
        ("step", "abc", "Expecting value"),
        ("param_set", "blah", "one of ema, raw"),
        ("config", "[]", "a JSON object"),
        ("own_model", "0", "true or false"),
        ("licence", None, "no 'licence'"),
    ],
)
def test_entries_of_another_kind_are_refused(packed, tmp_path, name, text, kind):
    path = rewritten(packed, tmp_path / "entry.safetensors", **{name: text})
    refused(path, "is damaged", kind, "fetch or copy it again")


def test_metadata_with_one_other_character_are_refused(packed, tmp_path):
    whole = packed.read_bytes()
    file = weights_files.read(packed)
    path = tmp_path / "flipped.safetensors"
    for name, text in file.metadata.items():
        start = whole.index(f'"{name}":'.encode()) + len(name) + 4
        for place in {start, start + len(text) // 2} if text else ():
            if whole[place : place + 1] in b'"\\':
                continue
            data = bytearray(whole)
            data[place] = ord("8") if data[place] != ord("8") else ord("9")
            path.write_bytes(data)
            refused(path, "copy it again")
    path.write_bytes(whole.replace(b'"metadata_sha256":', b'"metadata_sha257":'))
    refused(path, "no 'metadata_sha256'")


def test_the_hash_of_the_metadata_is_that_of_its_sorted_json(packed):
    said = dict(weights_files.read(packed).metadata)
    stated = said.pop("metadata_sha256")
    del said["sha256"]
    pairs = ", ".join(f"{json.dumps(key)}: {json.dumps(said[key])}" for key in sorted(said))
    assert stated == hashlib.sha256(f"{{{pairs}}}".encode()).hexdigest()


def test_the_bundled_model_is_known_wherever_it_is(tmp_path):
    bundled = weights_names.bundled()["photos"]
    _, about = model_files.read(bundled)
    assert about.step == 2000 and about.config["model"]["encoder"]["scale"] == 11.0
    data, right = bundled.read_bytes(), rb"\"scale\": 11.0"
    assert data.count(right) == 1
    path = tmp_path / "copy.safetensors"
    path.write_bytes(data)
    assert model_files.read(path)[1] == about
    path.write_bytes(data.replace(right, right.replace(b"11.0", b"91.0")))
    refused(path, "its metadata has the hash", "copy it again")


def test_a_setting_that_is_newer_than_the_file_has_its_default(packed, tmp_path):
    config = json.loads(weights_files.read(packed).metadata["config"])
    del config["sampling"]["temperature"]
    path = rewritten(packed, tmp_path / "older.safetensors", config=json.dumps(config))
    sampling = load(path).config.sampling
    assert options.sampler_settings(argparse.Namespace(), sampling)["temperature"] == 1
    changed = options.sampler_settings(argparse.Namespace(temperature=0.0), sampling)
    assert sampler_lib.from_settings(changed).temperature == 0


@pytest.mark.slow
def test_the_bundled_model_is_drawn_as_its_config_says():
    sampling = load("photos").config.sampling
    assert (sampling.method, sampling.num_steps, sampling.temperature) == ("ddim", 8, 0.1)


def test_a_file_of_another_model_is_refused(packed, tmp_path):
    config = json.loads(weights_files.read(packed).metadata["config"])
    config["model"]["num_bits"] = 4
    path = rewritten(packed, tmp_path / "bits.safetensors", config=json.dumps(config))
    refused(path, "another model", "net/first/kernel has shape [3, 3, 9, 8] there and [3, 3, 7, 8]")
    config["model"]["dropout"] = 0.1
    path = rewritten(packed, tmp_path / "setting.safetensors", config=json.dumps(config))
    refused(path, "dropout", "version")
    tensors = {"net/strange": np.zeros(3, np.float32), **weights_files.read(packed).tensors}
    path = rewritten(
        packed, tmp_path / "more.safetensors", tensors, sha256=encoders.weights_hash(tensors)
    )
    refused(path, "net/strange has shape [3] there and none in the model")


def test_a_file_of_something_else_is_refused(packed, tmp_path):
    means = encoder_weights(tmp_path / "means.safetensors", 1)
    refused(means, "no model of bitdiff_jax", "`bitdiff pack` wrote, or copy it again")
    for version in ("-1", "1", "3"):
        path = rewritten(packed, tmp_path / "other.safetensors", format_version=version)
        refused(path, f"has version {version} of the format", "reads 2", "copy it again")
    assert model_files.is_model(packed)
    assert not model_files.is_model(tmp_path / "means.safetensors")
    assert not model_files.is_model(tmp_path / "nothing")


def test_a_file_has_one_set_of_parameters(packed):
    assert load(packed, "ema").param_set == "ema"
    refused(packed, "holds the 'ema' parameters alone, not 'raw'", param_set="raw")


def test_a_model_given_in_python_is_given_again(workdir, tmp_path):
    path = tmp_path / "own.safetensors"
    loaded = dataclasses.replace(load(workdir), own_model=True)
    pack(loaded, path)
    refused(path, "model=...")
    assert load(path, model=loaded.model).model == loaded.model


@pytest.mark.slow
def test_what_the_encoder_makes_of_an_image_comes_with_its_maps(tmp_path):
    run, _ = with_encoder(tmp_path)
    segmenter = Segmenter.from_checkpoint(run)
    image = tiny.image(32, 22)
    result = segmenter(image, num_samples=3, num_steps=1)
    loaded = load(run)
    encode = drawing.split_encoder(loaded.model, loaded.params)[1]
    cells = np.asarray(encode(image, (16, 11)))  # 8 x 8, of 2 x 2 pixels of the map
    assert result.resolution == (16, 11) and cells.shape == (8, 8, 4)
    np.testing.assert_array_equal(
        result.encoded.pixels(16, 11), cells[np.arange(16) // 2][:, np.arange(11) // 2]
    )
    seen = dataclasses.replace(result, criterion="appearance")
    assert seen.label_map().shape == (32, 22)
