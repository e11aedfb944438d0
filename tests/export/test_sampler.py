import ast
import json
import pathlib
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.cli.main import main
from bitdiff_jax.data import transforms
from bitdiff_jax.data.image_inputs import encoder_input
from bitdiff_jax.diffusion import Sampler
from bitdiff_jax.errors import InputError
from bitdiff_jax.export import export_sampler, run_sampler
from bitdiff_jax.inference import Segmenter, load
from bitdiff_jax.nets import encoders
from tests.inference import tiny

GOLDEN = pathlib.Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return load(tiny.save_checkpoint(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def folder(loaded, tmp_path_factory):
    out = tmp_path_factory.mktemp("export")
    export_sampler(loaded, out, Sampler(num_steps=3, guidance_weight=0.5))
    return out


@pytest.mark.parametrize("shape", [(16, 16), (40, 23), (1, 300), (9, 9)])
def test_it_draws_what_a_segmenter_draws(loaded, folder, shape):
    image = tiny.image(*shape)
    segmenter = Segmenter.from_loaded(loaded)
    drawn = segmenter(
        image, 3, seed=5, name="a", sampler=Sampler(num_steps=3, guidance_weight=0.5), min_area=0
    )
    codes, certainty = run_sampler.Sampler(folder)(image, num_samples=3, seed=5, name="a")
    np.testing.assert_array_equal(codes, drawn.codes)
    np.testing.assert_allclose(certainty, drawn.certainty, atol=1e-5)


def test_any_number_of_images_goes_through_one_program(folder):
    sampler = run_sampler.Sampler(folder)
    image = tiny.image(16, 12)
    row, _ = sampler.row(image)
    for number in (1, 2, 5):
        rows = {name: np.repeat(value[None], number, 0) for name, value in row.items()}
        rows["image_id"] = np.zeros(number, np.uint32)
        rows["sample"] = np.arange(number, dtype=np.uint32)
        maps = sampler.program.call(sampler.params, rows, np.uint32(0))
        np.testing.assert_allclose(maps["x0"][0], _first(sampler, rows)["x0"][0], atol=1e-5)


def _first(sampler, rows):
    one = {name: value[:1] for name, value in rows.items()}
    return sampler.program.call(sampler.params, one, np.uint32(0))


def test_it_is_for_the_platforms_that_were_named(loaded, folder, tmp_path):
    about = json.loads((folder / "sampler.json").read_text())
    assert about["platforms"] == ["cpu", "cuda", "tpu"]
    assert about["trained_on"] == tiny.TRAINED_ON and about["step"] == tiny.STEP
    export_sampler(loaded, tmp_path, Sampler(num_steps=1), platforms=["tpu"])
    if jax.default_backend() == "cpu":
        with pytest.raises(ValueError, match="cpu"):
            run_sampler.Sampler(tmp_path)(tiny.image(16, 16))


def test_its_script_runs_without_this_package(folder, tmp_path):
    Image.fromarray(tiny.image(50, 70)).save(tmp_path / "photo.png")
    command = [sys.executable, "-I", folder / "run.py", tmp_path / "photo.png", "--out", tmp_path]
    told = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True).stdout
    labels = np.asarray(Image.open(tmp_path / "photo_labels.png"))
    assert labels.shape == (50, 70) and labels.min() == 1
    assert f"{labels.max()} regions" in told


def test_the_script_imports_neither_this_package_nor_what_it_needs():
    tree = ast.parse(pathlib.Path(run_sampler.__file__).read_text())
    names = {
        alias.name
        for each in ast.walk(tree)
        if isinstance(each, ast.Import)
        for alias in each.names
    }
    names |= {each.module for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)}
    others = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names)
    assert others == {"jax", "numpy", "PIL"}


@pytest.mark.parametrize("shape", [(16, 16), (100, 37), (7, 300), (3, 2)])
@pytest.mark.parametrize("target", [(16, 12), (64, 64), (1, 5)])
def test_the_script_resizes_as_the_package_does(shape, target):
    image = tiny.image(*shape)
    ours = transforms.resize_image(image, target).astype(int)
    assert np.abs(run_sampler.by_area(image, target) - ours).max() <= 1
    for side in (16, 128):
        assert run_sampler.fitted(image.shape, side) == transforms.resized_shape(*shape, side)


def test_the_encoder_is_part_of_it_or_its_features_are_given(tmp_path):
    weights = tmp_path / "means.safetensors"
    encoders.save_params(weights, {"gain": np.float32([0.5, 1, 1])}, dtype=np.float32)
    config = tiny.tiny_config()
    config.model.encoder.update(
        {"name": "tests.own_encoder:Means", "grid": 8, "channels": 5, "weights": str(weights)}
    )
    loaded = load(tiny.save_checkpoint(tmp_path / "run", config))
    sampler = Sampler(num_steps=2, guidance_weight=1.0)
    export_sampler(loaded, tmp_path / "whole", sampler)
    export_sampler(loaded, tmp_path / "apart", sampler, with_encoder=False)
    whole, apart = (run_sampler.Sampler(tmp_path / name) for name in ("whole", "apart"))
    image = tiny.image(40, 30)
    codes, _ = whole(image)
    segmenter = Segmenter.from_loaded(loaded)
    drawn = segmenter(image, name="", sampler=sampler, min_area=0)
    np.testing.assert_array_equal(codes, drawn.codes)
    with pytest.raises(ValueError, match="give features"):
        apart(image)
    given = encoder_input(image, loaded.model.features.encoder.image_size)
    features = loaded.model.encode(
        loaded.params, given["encoder_image"][None], given["encoder_size"][None],
        np.int32([apart.row(image)[1]]),
    )  # fmt: skip
    codes, _ = apart(image, features=np.asarray(features[0], np.float16))
    np.testing.assert_array_equal(codes, drawn.codes)


def test_a_file_of_the_first_version_still_runs():
    drawn = np.load(GOLDEN / "drawn.npz")
    codes, certainty = run_sampler.Sampler(GOLDEN)(drawn["image"], num_samples=2, seed=3)
    np.testing.assert_array_equal(codes, drawn["codes"])
    np.testing.assert_allclose(certainty, drawn["certainty"], atol=1e-4)


def test_what_cannot_be_exported_is_told(loaded, tmp_path):
    with pytest.raises(InputError, match="platforms has 'gpu'; use some of cpu, cuda, tpu"):
        export_sampler(loaded, tmp_path, Sampler(), platforms=["gpu"])
    with pytest.raises(InputError, match="platforms is empty"):
        export_sampler(loaded, tmp_path, Sampler(), platforms=[])
    with pytest.raises(InputError, match=r"dichotomy.*use 'code'"):
        export_sampler(loaded, tmp_path, Sampler(decoder="dichotomy"))
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(InputError, match=r"holds mine\.txt, which is no part of an export"):
        export_sampler(loaded, tmp_path, Sampler(num_steps=1))


def test_a_folder_of_another_format_is_refused(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    about = json.loads((folder / "sampler.json").read_text()) | {"format_version": 99}
    (tmp_path / "copy" / "sampler.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="is of format"):
        run_sampler.Sampler(tmp_path / "copy")


def test_the_command_exports(workdir, tmp_path, capsys):
    command = ["export", "--checkpoint", str(workdir), "--out", str(tmp_path / "x")]
    assert main([*command, "--num_steps", "2", "--platforms", "cpu"]) == 0
    assert "2 steps" in capsys.readouterr().out
    codes, _ = run_sampler.Sampler(tmp_path / "x")(tiny.image(16, 16))
    assert codes.shape == (1, 16, 16)
