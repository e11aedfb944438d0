"""The loop of the ONNX export against our sampler; the graphs where jax2onnx is installed."""

import dataclasses
import functools
import json
import runpy
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from bitdiff_jax import config as config_lib
from bitdiff_jax.cli.main import main
from bitdiff_jax.data.transforms import resized_shape
from bitdiff_jax.diffusion import Ddim, Sampler, sample, schedules
from bitdiff_jax.errors import InputError
from bitdiff_jax.export import export_denoiser, onnx_graphs, run_onnx
from bitdiff_jax.inference import load, programs
from bitdiff_jax.model_config import from_config
from bitdiff_jax.nets import encoders
from bitdiff_jax.nets.encoders import layers
from bitdiff_jax.target import valid_mask
from tests.export.small_encoder import SmallEncoder
from tests.inference import tiny

SIDE = 16
ABOUT = {
    "num_steps": 5, "guidance_weight": 0.7, "temperature": 0.4, "time_input": "logsnr",
    "input_scale": 0.05, "logsnr_min": -20.0, "logsnr_max": 15.0, "clip": [-1.0, 1.0],
    "pad_value": 0.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return load(tiny.save_checkpoint(tmp_path_factory.mktemp("tiny")))


def test_the_schedule_is_ours():
    schedule = schedules.cosine(0.05, -20.0, 15.0)
    for t in np.linspace(0, 1, 9):
        alpha, sigma, logsnr = run_onnx.at_time(t, ABOUT)
        np.testing.assert_allclose(alpha, schedule.alpha(jnp.float32(t)), rtol=2e-5)
        np.testing.assert_allclose(sigma, schedule.sigma(jnp.float32(t)), rtol=2e-5)
        np.testing.assert_allclose(logsnr, schedule.logsnr(jnp.float32(t)), atol=1e-4)


@pytest.mark.parametrize(
    "changed", [{}, {"guidance_weight": None}, {"time_input": "t"}, {"pad_value": -1.0}]
)
def test_the_loop_is_our_ddim(changed):
    about = ABOUT | changed
    schedule = schedules.cosine(0.05, -20.0, 15.0)
    rng = np.random.default_rng(0)
    noise, cond = (rng.normal(size=(3, 8, 8, c)).astype(np.float32) for c in (6, 4))
    valid = np.ones((3, 8, 8), bool)
    valid[1, 5:] = False

    def net(xp, inputs, times):
        shown = inputs[..., 6:].mean(-1, keepdims=True)
        return xp.tanh(0.5 * inputs[..., :6] + shown + 0.1 * times[:, None, None, None])

    def denoise_fn(x_t, t, cond):
        time = t if about["time_input"] == "t" else schedule.logsnr(t) / 4
        return net(jnp, jnp.concatenate([x_t, cond], -1), time)

    got = run_onnx.sample(functools.partial(net, np), cond, valid, noise, about)
    want = sample(
        denoise_fn, jnp.asarray(noise), jnp.asarray(cond),
        Sampler(num_steps=5, guidance_weight=about["guidance_weight"], method=Ddim(),
                temperature=0.4),
        schedule=schedule, valid_mask=jnp.asarray(valid), pad_value=about["pad_value"],
    )  # fmt: skip
    np.testing.assert_allclose(got, want, atol=2e-4)


def fake_graphs(monkeypatch):
    """Writes what a graph would be made of, in place of jax2onnx."""
    calls = []

    def graph(function, inputs, remedy=""):
        calls.append((function, inputs))
        return b"g"

    monkeypatch.setattr(onnx_graphs, "graph", graph)
    return calls


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    """A model with a small image encoder."""
    folder = tmp_path_factory.mktemp("encoded")
    encoder, weights = SmallEncoder(), folder / "encoder.safetensors"
    encoders.save_params(weights, encoder.init(jax.random.key(3)), dtype=np.float32)
    config = tiny.tiny_config()
    config.model.encoder.update(
        {"name": "tests.export.small_encoder:SmallEncoder", "grid": 8, "channels": 5}
        | {"weights": str(weights)}
    )
    params = tiny.random_params(from_config(config))
    return load(tiny.save_checkpoint(folder / "run", config=config, params=params))


def ours(loaded, image, num_samples, sampler):
    """The codes that our sampler draws from numpy's noise, as run.py's loop with seed 0."""
    model = loaded.model
    side = model.image_size
    size = resized_shape(*image.shape[:2], side)
    rows = np.zeros((num_samples, side, side, 3), np.uint8)
    rows[:, : size[0], : size[1]] = run_onnx.by_area(image, size)
    valid = valid_mask(jnp.asarray([size] * num_samples), (side, side))
    features = None
    if model.features is not None:
        features = programs.encode(model, loaded.params, image, size)[None]
        features = jnp.repeat(features, num_samples, 0)
    shown = model.encode_image(loaded.params, jnp.asarray(rows), valid, features)
    shape = num_samples, side, side, model.encoding.num_channels
    noise = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    x0 = sample(
        functools.partial(model.apply, loaded.params), jnp.asarray(noise), shown, sampler,
        schedule=model.schedule, valid_mask=valid, pad_value=model.encoding.pad_value,
    )  # fmt: skip
    return np.asarray(model.encoding.decode(x0))[:, : size[0], : size[1]]


def with_functions(folder, net, stem=None, encoder=None):
    """The `Denoiser` of a folder, with functions in place of its graphs."""
    denoiser = run_onnx.Denoiser.__new__(run_onnx.Denoiser)
    denoiser.about = json.loads((folder / "denoiser.json").read_text())
    denoiser._net, denoiser._stem, denoiser._encoder = (
        each and (lambda *given, each=each: np.asarray(each(*given)))
        for each in (net, stem, encoder)
    )
    return denoiser


def test_image_and_network_are_shown_as_in_the_model(loaded, tmp_path, monkeypatch):
    calls = fake_graphs(monkeypatch)
    sampler = Sampler(num_steps=3, method=Ddim(), guidance_weight=0.5)
    export_denoiser(loaded, tmp_path, sampler)
    ((function, shapes),) = calls
    model = loaded.model
    channels = model.encoding.num_channels + model.cond_channels
    assert shapes == [("B", SIDE, SIDE, channels), ("B",)]
    denoiser = with_functions(tmp_path, function)
    image = tiny.image(23, 40)
    _, valid, size = denoiser.condition(image)
    np.testing.assert_array_equal(valid, valid_mask(jnp.asarray([size]), (SIDE, SIDE)))
    codes, want = denoiser(image, num_samples=2), ours(loaded, image, 2, sampler)
    assert codes.shape == want.shape and (codes == want).mean() >= 0.999


def test_the_encoder_sees_the_image_as_in_the_model(encoded, tmp_path, monkeypatch):
    calls = fake_graphs(monkeypatch)
    sampler = Sampler(num_steps=3, method=Ddim())
    export_denoiser(encoded, tmp_path, sampler)
    (net, _), (stem, _), (encoder, inputs) = calls
    assert [(each.shape, each.dtype) for each in inputs] == [
        ((1, 32, 32, 3), np.uint8), ((1, 2), np.int32), ((1, 2), np.int32)
    ]  # fmt: skip
    denoiser = with_functions(tmp_path, net, stem, encoder)
    image = tiny.image(50, 37)
    features = programs.encode(encoded.model, encoded.params, image, (16, 12))
    np.testing.assert_allclose(denoiser.encode(image), features, atol=2e-3)
    codes, want = denoiser(image, num_samples=2), ours(encoded, image, 2, sampler)
    assert codes.shape == want.shape and (codes == want).mean() >= 0.999
    other = denoiser(image, num_samples=2, features=np.zeros_like(features))
    assert (other != codes).any()


def test_features_are_asked_for_where_the_encoder_was_left_out(encoded, tmp_path, monkeypatch):
    fake_graphs(monkeypatch)
    export_denoiser(encoded, tmp_path, Sampler(method=Ddim()))
    assert (tmp_path / "encoder.onnx").exists()
    export_denoiser(encoded, tmp_path, Sampler(method=Ddim()), with_encoder=False)
    assert not (tmp_path / "encoder.onnx").exists() and (tmp_path / "features.onnx").exists()
    denoiser = with_functions(tmp_path, lambda *_: None)
    with pytest.raises(ValueError, match="no image encoder: give features"):
        denoiser.encode(tiny.image(8, 8))


@pytest.mark.parametrize(("stride", "size", "centred"), [(1, 3, True), (2, 3, True), (2, 5, False)])
def test_a_depthwise_convolution_is_one_operation(stride, size, centred):
    layer = layers.DepthwiseConv(stride, size, centred)
    x = jax.random.normal(jax.random.key(0), (2, 8, 12, 4))
    params = layer.init(jax.random.key(1), x)
    params["params"]["bias"] += 0.3

    def exported(x):
        with layers.depthwise_as_convolutions():
            return layer.apply(params, x)

    np.testing.assert_allclose(exported(x), layer.apply(params, x), atol=1e-5)
    assert len(jax.make_jaxpr(exported)(x).eqns) <= 4


def test_what_the_loop_does_not_know_is_refused(loaded, tmp_path):
    for sampler, told in (
        (Sampler(), "method"),
        (Sampler(method=Ddim(eta=0.5)), "method"),
        (Sampler(method=Ddim(), time_grid="logsnr"), "time_grid"),
        (Sampler(method=Ddim(), clip=False), "clip"),
    ):
        with pytest.raises(InputError, match=told):
            export_denoiser(loaded, tmp_path, sampler)
    other = from_config(tiny.tiny_config(prediction="v"))
    with pytest.raises(InputError, match=r"model\.prediction"):
        changed = dataclasses.replace(loaded, model=other)
        export_denoiser(changed, tmp_path, Sampler(method=Ddim()))


def test_an_option_of_the_other_kind_is_refused(tmp_path, capsys):
    assert main(["export", "--to=onnx", f"--out={tmp_path}", "--platforms=tpu"]) == 2
    assert "--platforms" in capsys.readouterr().err


def test_without_jax2onnx_a_line_says_what_to_do(loaded, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(InputError, match=r"jax2onnx.*docs/export\.md"):
        export_denoiser(loaded, tmp_path, Sampler(method=Ddim()))


@pytest.mark.parametrize("raised", [TypeError("takes 1\nargument"), NotImplementedError("erf")])
def test_what_jax2onnx_fails_at_is_one_line(raised, monkeypatch):
    def to_onnx(*_, **__):
        raise raised

    monkeypatch.setitem(sys.modules, "onnx", types.SimpleNamespace())
    monkeypatch.setitem(sys.modules, "jax2onnx", types.SimpleNamespace(to_onnx=to_onnx))
    says = rf"cannot export this network \({type(raised).__name__}: .*\); leave it out$"
    with pytest.raises(InputError, match=says) as caught:
        onnx_graphs.graph(jnp.tanh, [(1,)], "leave it out")
    assert "\n" not in str(caught.value)


def test_run_py_stands_by_itself(loaded, tmp_path, monkeypatch):
    fake_graphs(monkeypatch)
    export_denoiser(loaded, tmp_path, Sampler(method=Ddim()))
    source = (tmp_path / "run.py").read_text()
    assert "bitdiff_jax" not in source.replace('"bitdiff_jax.denoiser"', "")
    done = subprocess.run(
        [sys.executable, "-I", tmp_path / "run.py", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0 and "--features" in done.stdout
    names: dict = {"__name__": "run"}
    exec(compile(source, "run.py", "exec"), names)
    image = tiny.image(30, 20)
    np.testing.assert_array_equal(names["by_area"](image, (9, 7)), run_onnx.by_area(image, (9, 7)))


@pytest.mark.slow
def test_onnxruntime_draws_our_maps(tmp_path):
    """The small network with attention, at random parameters."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("jax2onnx")
    config = config_lib.load("base:smoke")
    config.model.image_size = SIDE
    model = from_config(config)
    params = tiny.random_params(model)
    workdir = tiny.save_checkpoint(tmp_path / "run", config=config, params=params)
    out = tmp_path / "onnx"
    options = ["--to=onnx", "--num_steps=3"]
    assert main(["export", f"--weights={workdir}", f"--out={out}", *options]) == 0
    denoiser = run_onnx.Denoiser(out)
    image = tiny.image(16, 16)
    cond, valid, _ = denoiser.condition(image)
    noise = np.random.default_rng(0).standard_normal((1, SIDE, SIDE, 6)).astype(np.float32)
    got = run_onnx.sample(denoiser._net, cond, valid, noise, denoiser.about)
    want = sample(
        functools.partial(model.apply, params), jnp.asarray(noise), jnp.asarray(cond),
        Sampler(num_steps=3, method=Ddim()), schedule=model.schedule, valid_mask=jnp.asarray(valid),
    )  # fmt: skip
    assert ((got > 0) == np.asarray(want > 0)).mean() >= 0.999


@pytest.mark.slow
def test_onnxruntime_draws_our_maps_of_an_image_alone(encoded, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("jax2onnx")
    sampler = Sampler(num_steps=3, method=Ddim())
    export_denoiser(encoded, tmp_path / "onnx", sampler)
    image = tiny.image(50, 37)
    denoiser = run_onnx.Denoiser(tmp_path / "onnx")
    features = programs.encode(encoded.model, encoded.params, image, (16, 12))
    np.testing.assert_allclose(denoiser.encode(image), features, atol=2e-3)
    want = ours(encoded, image, 1, sampler)
    assert (denoiser(image) == want).mean() >= 0.999
    Image.fromarray(image).save(tmp_path / "image.png")
    script, given = str(tmp_path / "onnx" / "run.py"), str(tmp_path / "image.png")
    monkeypatch.setattr(sys, "argv", [script, given, "--out", str(tmp_path / "drawn")])
    runpy.run_path(script, run_name="__main__")
    labels = np.asarray(Image.open(tmp_path / "drawn" / "image_labels.png"))
    assert labels.shape == image.shape[:2] and len(np.unique(labels)) == len(np.unique(want))
