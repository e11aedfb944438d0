"""A checkpoint of the released code -> our model -> the released network's own outputs."""

import argparse

import jax.numpy as jnp
import numpy as np
import pytest

from bitdiff_jax.cli import import_reference
from bitdiff_jax.cli import main as cli
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import Segmenter, load, reference_import
from bitdiff_jax.nets import UNet, reference_names
from tests.inference import tiny
from tests.nets import torch_names
from tests.weights_files import pytorch_forms


@pytest.fixture
def weights(golden):
    """The golden weights of the small network, by the released names."""
    g = golden("unet_small")
    return torch_names.weights(g["small/param_names"], g["small/param_shapes"])


@pytest.fixture
def save(tmp_path, monkeypatch):
    """Writes arrays as torch.save does."""
    pytorch_forms.fake_torch(monkeypatch)

    def save(arrays, **beside):
        tensors = {name: pytorch_forms.Tensor(each) for name, each in arrays.items()}
        contents = {"state_dict": tensors, **beside} if beside else tensors
        path = tmp_path / "model.pt"
        path.write_bytes(pytorch_forms.archive(contents))
        return path

    return save


def run(path, *options):
    out = path.parent / "ours.safetensors"
    return cli.main(["import-reference", str(path), f"--out={out}", *options]), out


@pytest.mark.slow
def test_its_outputs_are_those_of_the_released_network(golden, weights, save, capsys):
    code, out = run(save(weights, step=300_000), "--trained_on=photographs")
    assert code == 0 and "6 bits (bits), 32 x 32 pixels" in capsys.readouterr().out
    loaded = load(out)
    g = golden("unet_small")
    x, image = (np.moveaxis(g[f"small/{name}"], 1, -1) for name in ("x", "image"))
    got = np.asarray(loaded.model.apply(loaded.params, x, jnp.asarray(g["small/t"]), image))
    want = np.moveaxis(g["small/out"], 1, -1)
    stride = got.shape[1] // want.shape[1]  # the copied subset keeps every fourth pixel
    np.testing.assert_allclose(got[:, ::stride, ::stride], want, atol=1e-4)
    config = loaded.config
    assert config.model.time_input == "t" and config.sampling.guidance_weight == 1
    result = Segmenter.from_loaded(loaded)(tiny.image(32, 24), num_steps=2)
    assert result.label_map(0).shape == (32, 24)


@pytest.mark.slow
def test_the_papers_network_is_told_by_its_shapes(golden):
    g = golden("unet_full")
    names, shapes = g["param_names"], g["param_shapes"]
    tensors = {
        str(name): np.broadcast_to(
            np.float32(0), [int(n) for n in str(shape).strip("()").split(",") if n.strip()]
        )
        for name, shape in zip(names, shapes, strict=True)
    }
    config = reference_import.settings_of(tensors)
    paper = UNet()
    for name in ("base_channels", "channel_multipliers", "blocks_per_level", "attention_levels"):
        assert config.model.net[name] == getattr(paper, name)
    assert (config.model.num_bits, config.model.image_size) == (6, 128)
    loaded = reference_import.loaded(tensors, config, "model.pt")
    assert sum(np.size(each) for each in tensors.values()) == 38_496_262
    assert len(reference_names.parameters(paper, tensors)) == len(loaded.params)


def test_names_of_data_parallel_training(weights, save):
    tensors = reference_import.read(save({f"module.{k}": v for k, v in weights.items()}))
    assert tensors.keys() == weights.keys()
    np.testing.assert_array_equal(tensors["out.3.weight"], weights["out.3.weight"])


def test_what_a_file_would_execute_is_refused(weights, save, monkeypatch, capsys):
    path = save(weights, args=argparse.Namespace(a=1))
    assert run(path)[0] == 2
    assert "argparse.Namespace, which is not executed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda w: w.pop("out.1.bias"), "lacks net/out_norm/bias"),
        (lambda w: w.pop("input_blocks.0.0.weight"), "holds no input_blocks.0.0.weight"),
        (lambda w: w.update({"label_emb.weight": np.zeros((3, 3), "f4")}), "label_emb.weight"),
        (lambda w: w.update({"out.1.bias": np.zeros(5, "f4")}), "net/out_norm/bias has shape (5,)"),
        (lambda w: w.clear(), "holds no state dict"),
    ],
)
def test_another_network_is_refused_in_a_line(weights, save, capsys, change, told):
    change(weights)
    assert run(save(weights))[0] == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line and "model.pt" in line


@pytest.mark.slow
def test_settings_that_leave_no_trace_are_given(weights, save, capsys):
    path = save(weights)
    assert run(path, "--config.model.num_bits=8")[0] == 2
    assert "shape" in capsys.readouterr().err
    code, out = run(path, "--config.model.prediction=v", "--config.model.image_size=64")
    assert code == 0
    model = load(out).model
    assert (model.prediction, model.image_size) == ("v", 64)
    with pytest.raises(InputError, match="num_headz"):
        import_reference.main([str(path), f"--out={out}", "--config.model.net.num_headz=2"])
