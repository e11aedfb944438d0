"""What `weights` may say: the one place that turns a name into a checkpoint or a model's file."""

import os
import pathlib
from typing import NamedTuple

from etils import epath

from bitdiff_jax import files
from bitdiff_jax.errors import InputError, did_you_mean
from bitdiff_jax.inference import hub, model_files

ENDING = ".safetensors"  # of a model's file
FILE = "model.safetensors"  # of a folder that `bitdiff pack` wrote
DEFAULT = "photos"
_BUNDLED = pathlib.Path(__file__).parents[1] / "weights"
_CHECKPOINTS = "checkpoints"


class Place(NamedTuple):
    """Where weights are."""

    path: epath.PathLike
    is_checkpoint: bool  # whether it is the folder of a training, rather than a model's file


def bundled() -> dict[str, pathlib.Path]:
    """The models that come with the package: their files by name."""
    found = sorted(_BUNDLED.glob(f"*{ENDING}"))
    return {path.stem: path for path in found if model_files.is_model(path)}


def locate(weights: epath.PathLike) -> Place:
    """Finds weights.

    Args:
        weights: the name of a model that comes with the package; the folder of a training, or one
            that `bitdiff pack` wrote; a model's file; or a repository of Hugging Face,
            'OWNER/NAME[@REVISION]'. They are tried in this order, so that a local folder called
            like a bundled model is written './photos', and one called like a repository wins.

    Raises:
        InputError: nothing of this name is there, a folder holds no model, or a repository cannot
            be fetched.
    """
    text = os.fspath(weights)
    if not text:  # such as a shell's variable that is not set
        raise InputError(f"weights is empty; {_remedy()}")
    own = bundled()
    if text in own:
        return Place(own[text], is_checkpoint=False)
    place = epath.Path(files.at_home(text))
    if place.is_dir():
        if is_training(place):
            return Place(place, is_checkpoint=True)
        if (place / FILE).is_file():
            return Place(place / FILE, is_checkpoint=False)
        raise InputError(
            f"weights {text}: holds no '{_CHECKPOINTS}' folder and no {FILE}; give the --workdir "
            "of a training, or a folder that `bitdiff pack` wrote"
        )
    if place.exists():
        return Place(place, is_checkpoint=False)
    is_file = text.endswith(ENDING)
    if not is_file and (repository := hub.parse(text)):
        return Place(hub.fetch(repository, FILE), is_checkpoint=False)
    if is_file or "/" in text:
        what = "file" if is_file else "folder or file"
        raise InputError(
            f"weights {text}: no such {what}{_similar(place)}; check the path, or {_remedy()}"
        )
    raise InputError(
        f"weights {text}: no such folder or file, and no model of that name in the package"
        f"{did_you_mean(text, own)}; {_remedy()}"
    )


def is_training(folder: epath.Path) -> bool:
    """Whether a folder is that of a training, or of its checkpoints."""
    return folder.name == _CHECKPOINTS or (folder / _CHECKPOINTS).is_dir()


def _similar(place: epath.Path) -> str:
    """A hint at what lies in the same folder under a similar name, or ''."""
    if "://" in os.fspath(place):  # a bucket's folder may be long
        return ""
    try:
        return did_you_mean(place.name, [each.name for each in place.parent.iterdir()])
    except OSError:  # such as no folder either
        return ""


def _remedy() -> str:
    names = ", ".join(bundled()) or "none in this installation"
    return (
        f"give the name of a bundled model ({names}), the --workdir of a training, a folder or "
        "file of `bitdiff pack`, or a Hugging Face repository OWNER/NAME"
    )
