"""A model's networks as ONNX graphs, with a loop in numpy: for machines without JAX.

The folder that `export_denoiser` writes holds

    net.onnx        (inputs [B, S, S, C], times [B]) -> x0 [B, S, S, k], the network
    encoder.onnx    (image [1, N, N, 3], its size, the map's) -> features [1, G, G, C], and
    features.onnx   features [B, G, G, C] -> [B, S, S, C'], for a model with an image encoder
    denoiser.json   what goes in and comes out, how maps are drawn, what the model is
    run.py          draws label maps; needs onnxruntime, numpy and Pillow
"""

import dataclasses
import inspect
import json
import pathlib
from typing import Any

from etils import epath

from bitdiff_jax import files
from bitdiff_jax.diffusion import schedules
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.diffusion.step_methods import Ddim
from bitdiff_jax.encoding import BitEncoding
from bitdiff_jax.errors import InputError
from bitdiff_jax.export import onnx_graphs, run_sampler
from bitdiff_jax.export.sampler import Exported
from bitdiff_jax.inference.loading import Loaded
from bitdiff_jax.model import Model
from bitdiff_jax.nets.unet import UNet

NET, ENCODER, STEM = "net.onnx", "encoder.onnx", "features.onnx"
ABOUT, SCRIPT = "denoiser.json", "run.py"
FORMAT, VERSION = "bitdiff_jax.denoiser", 2
_LOOP = pathlib.Path(__file__).with_name("run_onnx.py")


def export_denoiser(
    loaded: Loaded, out: epath.PathLike, sampler: Sampler, *, with_encoder: bool = True
) -> Exported:
    """Writes a model's networks as ONNX, and the loop that draws with them.

    Args:
        loaded: the model, as `inference.load` returns it.
        out: a folder; made if need be. An earlier export in it is replaced.
        sampler: how maps are drawn.
        with_encoder: whether the image encoder of a model that has one is exported too; otherwise
            its features are an input.

    Raises:
        InputError: jax2onnx is not installed or does not know an operation, the model or the
            sampler is none that the loop knows, or the place holds other files.
    """
    model, params = loaded.model, loaded.params
    about = {**_about(model, sampler, with_encoder), **_said(loaded)}
    folder = files.make_folder(out, "--out")
    ours = {NET, ENCODER, STEM, ABOUT, SCRIPT}
    if others := [path.name for path in files.listed(folder) if path.name not in ours]:
        raise InputError(
            f"--out {folder}: holds {others[0]}, which is no part of an export; name a new folder"
        )
    net, side = _plain(model.net), model.image_size
    weights = params if model.features is None else params["net"]
    channels = model.encoding.num_channels + model.cond_channels
    graphs = {
        NET: onnx_graphs.graph(
            lambda inputs, times: net.apply({"params": weights}, inputs, times),
            [("B", side, side, channels), ("B",)],
        )
    }
    if (features := model.features) is not None:
        stem = {"features": params["features"]}
        shape = ("B", features.grid, features.grid, features.encoder.channels)
        graphs[STEM] = onnx_graphs.graph(lambda cells: features.reduced(stem, cells, side), [shape])
        if with_encoder:
            graphs[ENCODER] = onnx_graphs.encoder_graph(model, params)
    for name in (NET, ENCODER, STEM):
        if name in graphs:
            files.write(folder / name, graphs[name])
        else:  # of an earlier export
            files.remove(folder / name)
    files.write(folder / SCRIPT, _script().encode())
    # Last, so that a folder with it is whole.
    files.write(folder / ABOUT, (json.dumps(about, indent=2) + "\n").encode())
    return Exported(folder, sum(map(len, graphs.values())), 0)


def _about(model: Model, sampler: Sampler, with_encoder: bool) -> dict[str, Any]:
    """What the loop is told; InputError if it does not know it."""
    method, schedule = sampler.method, model.schedule
    cosine = schedules.cosine(schedule.input_scale, schedule.logsnr_min, schedule.logsnr_max)
    known = {
        "method": isinstance(method, Ddim) and method.eta == 0 and method.eps_after_clip,
        "time_grid": sampler.time_grid == "uniform",
        "decoder": sampler.decoder == "code",
        "final": sampler.final == "x0",
        "clip": bool(sampler.clip),
        "model.encoding": isinstance(model.encoding, BitEncoding),
        "model.prediction": model.prediction == "x",
        "model.schedule": schedule == cosine,
        "model.objective.self_condition": not model.self_conditioned,
        "model.prompts": not model.prompts,
    }
    if strange := [name for name, is_known in known.items() if not is_known]:
        raise InputError(
            f"{strange[0]}: the loop of an ONNX export knows DDIM (eta 0), uniform times and "
            "clipped x0 of models that predict x0 as bits on the cosine schedule; export "
            "--to stablehlo"
        )
    weight = sampler.guidance_weight
    padded = model.objective.padding == "as_released"
    features = model.features
    return {
        "format": FORMAT,
        "format_version": VERSION,
        "size": model.image_size,
        "image_scale": model.image_scale,
        "image_mean": list(model.image_mean),
        "image_std": list(model.image_std),
        "features": features and [features.grid, features.grid, features.encoder.channels],
        "encoder_size": features.encoder.image_size if features and with_encoder else None,
        "num_bits": model.encoding.num_channels,
        "time_input": model.time_input,
        "input_scale": schedule.input_scale,
        "logsnr_min": schedule.logsnr_min,
        "logsnr_max": schedule.logsnr_max,
        "num_steps": sampler.num_steps,
        "guidance_weight": float(weight) if sampler.guided and weight is not None else None,
        "temperature": sampler.temperature,
        "clip": list(model.encoding.clip_range if sampler.clip is True else sampler.clip),  # type: ignore[arg-type]
        "pad_value": -1.0 if padded else float(model.encoding.pad_value),
    }


def _said(loaded: Loaded) -> dict[str, Any]:
    return {
        "step": loaded.step,
        "trained_on": loaded.trained_on,
        "terms_of_use": loaded.licence,
        "data_sets": loaded.data_sets,
    }


def _plain(net: Any) -> Any:
    """The network's definition, since jax2onnx does not know all that the fused one is made of."""
    if not isinstance(net, UNet):
        return net
    names = [each.name for each in dataclasses.fields(UNet) if each.name not in ("parent", "name")]
    return UNet(**{name: getattr(net, name) for name in names})


def _script() -> str:
    """run.py: the loop, with the functions that bring an image to size in place of their import."""
    shared = (run_sampler.fitted, run_sampler.padded, run_sampler.by_area, run_sampler.box_filter)
    lines = [
        line
        for line in epath.Path(_LOOP).read_text().splitlines()
        if not line.startswith("from bitdiff_jax.")
    ]
    end = next(i for i, line in enumerate(lines) if line.startswith("def main("))
    bodies = [inspect.getsource(each).rstrip() + "\n\n" for each in shared]
    return "\n".join([*lines[:end], *"\n".join(bodies).splitlines(), "", *lines[end:], ""])
