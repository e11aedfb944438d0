"""A trained model as one file, or as a folder that can be pushed to a hub as it is."""

import dataclasses
import json
import os
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from etils import epath

from bitdiff_jax import files
from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import (
    eight_bits,
    model_card,
    model_files,
    named_params,
    pack_target,
)
from bitdiff_jax.inference.loading import Loaded
from bitdiff_jax.nets import encoders
from bitdiff_jax.nets.encoders import pretrained

DTYPES = ("bfloat16", "float16", "float32", "int8")
_ENCODER_DTYPE = np.dtype(np.float16)  # of a tuned encoder, in which published ones are stored too


class Packed(NamedTuple):
    """What was written."""

    files: tuple[epath.Path, ...]  # the model's file first
    kept: tuple[epath.Path, ...]  # files of a folder that were there and are left as they were
    num_params: int
    about: model_files.About
    replaced: model_files.About | None = None  # what the file said that was there before


def pack(
    loaded: Loaded,
    out: epath.PathLike,
    *,
    dtype: str = "bfloat16",
    licence: str | None = None,
    data_sets: str | None = None,
    trained_on: str | None = None,
) -> Packed:
    """Writes the parameters that a trained model samples with, and what is known of it.

    The same model and arguments give the same bytes. An earlier file of the same training is
    replaced.

    Args:
        loaded: the model, as `inference.load` returns it.
        out: a file whose name ends in .safetensors, or a folder, which gets model.safetensors,
            config.json and, unless it has one, a model card README.md. A new folder whose name
            ends like a file's is written with a slash at its end, 'm.v2/'.
        dtype: what the parameters are stored in, one of DTYPES, where 'int8' has a factor for each
            output channel beside it and leaves what has one axis in bfloat16; those of a tuned
            encoder are stored in float16. A frozen encoder is not stored.
        licence: terms of use that come from the training data, in one line; '' for none, None for
            those that are known.
        data_sets: the data sets of the training, in one line; None for those that are known.
        trained_on: the kind of images, in words and one line; None for what the training said.

    Raises:
        InputError: an unknown dtype, a text of several lines or not in UTF-8, a parameter that is
            not finite or too large for the dtype; or a place that cannot be written, ends like a
            file of another kind, or holds something other than an earlier file of the same
            training.
    """
    if dtype not in DTYPES:
        raise InputError(f"dtype is {dtype!r}; use one of {', '.join(DTYPES)}")
    target = pack_target.find(out)
    if trained_on is not None:
        loaded = dataclasses.replace(loaded, trained_on=trained_on)
    about = _about(loaded, licence, data_sets)
    for name in ("licence", "data_sets", "trained_on"):
        _check_line(name, getattr(about, name))
    replaced = pack_target.check(target, about)
    leaves = named_params.by_name(loaded.model, loaded.params)
    tensors: dict[str, np.ndarray] = {}
    for name, leaf in leaves.items():
        tensors |= _stored(name, np.asarray(leaf), dtype, os.fspath(out))
    num_params = sum(leaf.size for leaf in leaves.values())
    folder = files.make_folder(target.file.parent, "--out")
    model_files.write(target.file, tensors, about)
    if not target.is_folder:
        return Packed((target.file,), (), num_params, about, replaced)
    files.write(folder / pack_target.CONFIG, (json.dumps(about.config, indent=2) + "\n").encode())
    written, card = [target.file, folder / pack_target.CONFIG], folder / "README.md"
    if not (kept := card.exists()):
        files.write(card, model_card.text(folder.name, num_params, dtype, about).encode())
        written.append(card)
    return Packed(tuple(written), (card,) if kept else (), num_params, about, replaced)


def _stored(name: str, values: np.ndarray, dtype: str, out: str) -> dict[str, np.ndarray]:
    """A leaf as it is stored, with its factors if it is in 8 bits."""
    if name.startswith("encoder/"):
        target = _ENCODER_DTYPE
    else:
        target = jnp.dtype("bfloat16" if dtype == "int8" else dtype)
    with np.errstate(over="ignore"):  # told below
        stored = values.astype(target)
    if not np.isfinite(stored.astype(np.float32)).all():
        raise InputError(
            f"{out}: {name} is not finite in {target.name}; give a dtype with more range, or a "
            "model with finite parameters"
        )
    if dtype != "int8" or values.ndim < 2 or target == _ENCODER_DTYPE:
        return {name: stored}
    whole, scale = eight_bits.quantised(values)
    return {name: whole, f"{eight_bits.SCALES}{name}": scale}


def _check_line(name: str, text: str) -> None:
    if len(text.splitlines()) > 1:
        raise InputError(f"{name} has several lines, {text[:40]!r}...; give one")
    try:
        text.encode()
    except UnicodeEncodeError:  # such as an argument in another encoding
        raise InputError(
            f"{name} is {text[:40]!r}, which is not text in UTF-8; give it so"
        ) from None


def _about(loaded: Loaded, licence: str | None, data_sets: str | None) -> model_files.About:
    config = json.loads(loaded.config.to_json_best_effort())
    # Paths of one machine, which mean nothing on another.
    config["data"] |= {"train": "", "trained_on": loaded.trained_on}
    config["eval"]["data"] = ""
    encoder = encoder_hash = ""
    if loaded.model.features is not None:
        encoder = loaded.model.features.encoder.name
        if not loaded.model.features.tuned:
            place = config["model"]["encoder"]["weights"]
            encoder_hash = pretrained.digest(loaded.model.features.encoder, place)
            bundled = encoders.bundled(encoder)
            if place and bundled and encoders.weights_hash(bundled) == encoder_hash:
                config["model"]["encoder"]["weights"] = ""
    return model_files.About(
        config=config,
        step=loaded.step,
        trained_on=loaded.trained_on,
        param_set=loaded.param_set,
        encoder=encoder,
        encoder_hash=encoder_hash,
        licence=loaded.licence if licence is None else licence,
        data_sets=loaded.data_sets if data_sets is None else data_sets,
        own_model=loaded.own_model,
    )
