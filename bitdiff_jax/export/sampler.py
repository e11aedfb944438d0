"""The whole sampler as a StableHLO program, for whoever has JAX and not this package.

The folder that `export_sampler` writes holds

    sampler.stablehlo   the program, of `jax.export`, for any number of images at once
    params.npz          the parameters, by name
    sampler.json        what goes in and comes out, and what the model is
    run.py              draws label maps of image files; needs JAX, flatbuffers, numpy and Pillow

The program is `(params, rows, seed) -> maps`, where rows and maps are dicts of arrays whose first
axis are the images. The same seed, image id and sample number draw the same map as a `Segmenter`
does, up to what compilers do to the order of sums.
"""

import dataclasses
import io
import json
import os
from collections.abc import Sequence
from importlib import metadata
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from jax import export

from bitdiff_jax import files
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.errors import InputError, did_you_mean
from bitdiff_jax.export import run_sampler
from bitdiff_jax.inference import programs
from bitdiff_jax.inference.loading import Loaded
from bitdiff_jax.model import Model, Params
from bitdiff_jax.parallel.partition_rules import path_name

PLATFORMS = ("cpu", "cuda", "tpu")

Shapes = dict[str, jax.ShapeDtypeStruct]


class Exported(NamedTuple):
    """What was written."""

    folder: epath.Path
    program_bytes: int
    params_bytes: int


def export_sampler(
    loaded: Loaded,
    out: epath.PathLike,
    sampler: Sampler,
    *,
    with_encoder: bool = True,
    platforms: Sequence[str] = PLATFORMS,
) -> Exported:
    """Writes a model's sampler as a program that needs nothing of this package.

    Args:
        loaded: the model, as `inference.load` returns it.
        out: a folder; made if need be. An earlier export in it is replaced.
        sampler: how maps are drawn; it becomes part of the program.
        with_encoder: whether the program computes the features of a model with an image encoder;
            otherwise they are an input.
        platforms: what the program is for, some of PLATFORMS.

    Raises:
        InputError: an unknown platform, a sampler that calls back to Python, or a place that holds
            other files or cannot be written.
    """
    for platform in platforms:
        if platform not in PLATFORMS:
            raise InputError(
                f"platforms has {platform!r}; use some of {', '.join(PLATFORMS)}"
                f"{did_you_mean(platform, PLATFORMS)}"
            )
    if not platforms:
        raise InputError(f"platforms is empty; use some of {', '.join(PLATFORMS)}")
    if sampler.decoder == "dichotomy":
        raise InputError(
            "decoder is 'dichotomy', which runs on the host and not in an exported program; use "
            "'code'"
        )
    folder = _folder(out)
    model = loaded.model
    params = loaded.params
    if model.features is not None and not with_encoder:
        params = {name: part for name, part in params.items() if name != "encoder"}
    program = _program(model, sampler, with_encoder, params, tuple(platforms))
    data = bytes(program.serialize())
    arrays = _archive(params)
    about = _about(loaded, sampler, with_encoder, program)
    files.write(folder / run_sampler.PROGRAM, data)
    files.write(folder / run_sampler.PARAMS, arrays)
    source = epath.Path(run_sampler.__file__).read_bytes()
    files.write(folder / run_sampler.SCRIPT, source)
    # Last, so that a folder with it is whole.
    files.write(folder / run_sampler.ABOUT, (json.dumps(about, indent=2) + "\n").encode())
    return Exported(folder, len(data), len(arrays))


def rows(model: Model, num_rows: Any, with_encoder: bool) -> Shapes:
    """The arrays that show the program B images.

    Args:
        model: the model.
        num_rows: B, a number or a symbol of `jax.export`.
        with_encoder: see `export_sampler`.

    Returns:
        'image' uint8 [B, M, M, 3], the image at the network's size, padded right and below with 0;
        'size' int32 [B, 2], (h, w) of the label map that it fills; 'image_id' and 'sample', uint32
        [B]. With an encoder also 'encoder_image' uint8 [B, N, N, 3] and 'encoder_size' int32
        [B, 2], or 'features' float16 [B, G, G, C].
    """
    given = dict(programs.image_rows(model, num_rows))
    if model.features is not None and with_encoder:
        del given["features"]
        side = model.features.encoder.image_size
        given["encoder_image"] = jax.ShapeDtypeStruct((num_rows, side, side, 3), jnp.uint8)
        given["encoder_size"] = jax.ShapeDtypeStruct((num_rows, 2), jnp.int32)
    return given | {
        "size": jax.ShapeDtypeStruct((num_rows, 2), jnp.int32),
        "image_id": jax.ShapeDtypeStruct((num_rows,), jnp.uint32),
        "sample": jax.ShapeDtypeStruct((num_rows,), jnp.uint32),
    }


def _program(
    model: Model, sampler: Sampler, with_encoder: bool, params: Params, platforms: tuple[str, ...]
) -> export.Exported:
    def draw(params: Params, rows: dict[str, jax.Array], seed: jax.Array) -> dict[str, jax.Array]:
        params = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params)
        features = rows.get("features")
        if model.features is not None and with_encoder:
            given = rows["encoder_image"], rows["encoder_size"], rows["size"]
            # The segmenter keeps features so, and draws from what it keeps.
            features = model.encode(params, *given).astype(jnp.float16)
            params = {name: part for name, part in params.items() if name != "encoder"}
        keys = programs.row_keys(seed, rows["image_id"], rows["sample"])
        drawn = model.sample(params, rows["image"], rows["size"], keys, sampler, features)
        return {"codes": drawn.codes, "certainty": drawn.certainty, "x0": drawn.x0}

    (num_rows,) = export.symbolic_shape("b")
    stored = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, _dtype(leaf)), params)
    shapes = stored, rows(model, num_rows, with_encoder), jax.ShapeDtypeStruct((), jnp.uint32)
    return export.export(jax.jit(draw), platforms=platforms)(*shapes)


def _dtype(leaf: Any) -> np.dtype[Any]:
    """float16 where it holds every value of a parameter, as an encoder's, and float32 elsewhere."""
    values = np.asarray(leaf, np.float32)
    with np.errstate(over="ignore"):
        same = np.array_equal(values.astype(np.float16).astype(np.float32), values)
    return np.dtype(np.float16 if same else np.float32)


def _archive(params: Params) -> bytes:
    leaves = jax.tree_util.tree_leaves_with_path(params)
    arrays: dict[str, Any] = {
        path_name(path): np.asarray(leaf, _dtype(leaf)) for path, leaf in leaves
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _about(
    loaded: Loaded, sampler: Sampler, with_encoder: bool, program: export.Exported
) -> dict[str, Any]:
    model = loaded.model
    given = rows(model, "b", with_encoder)
    size = {"size": model.image_size, "image_size": model.image_size * model.image_scale}
    if "encoder_image" in given:
        size["encoder_size"] = given["encoder_image"].shape[1]
    return {
        "format": run_sampler.FORMAT,
        "format_version": run_sampler.VERSION,
        "jax": metadata.version("jax"),
        "calling_convention": program.calling_convention_version,
        "platforms": list(program.platforms),
        "rows": {k: {"shape": list(v.shape), "dtype": v.dtype.name} for k, v in given.items()},
        **size,
        "sampler": {name: str(value) for name, value in dataclasses.asdict(sampler).items()},
        "step": loaded.step,
        "trained_on": loaded.trained_on,
        "terms_of_use": loaded.licence,
        "data_sets": loaded.data_sets,
    }


def _folder(out: epath.PathLike) -> epath.Path:
    folder = files.make_folder(out, "--out")
    ours = {run_sampler.PROGRAM, run_sampler.PARAMS, run_sampler.ABOUT, run_sampler.SCRIPT}
    if others := [path.name for path in files.listed(folder) if path.name not in ours]:
        raise InputError(
            f"--out {os.fspath(out)}: holds {others[0]}, which is no part of an export; name a new "
            "folder"
        )
    return folder
