"""How a config is found by name, and what a config file may have wrong."""

import importlib.util
import pathlib
import re
import traceback
from types import ModuleType

import ml_collections

from bitdiff_jax.errors import InputError, did_you_mean

_PACKAGE = pathlib.Path(__file__).resolve().parent
# In a wheel the configs lie inside the package, in a checkout beside it.
_CONFIG_DIRS = (_PACKAGE / "configs", _PACKAGE.parent / "configs")


def load(name: str) -> ml_collections.ConfigDict:
    """The config `NAME[:variant]`, or that of a file `path/to/file.py[:variant]`.

    Raises:
        InputError: there is no such config, it does not know the variant, or its file is not
            Python, has no `get_config`, or fails; the message names the file and the line.
    """
    path, variant = locate(name)
    module = _import(path)
    get_config = getattr(module, "get_config", None)
    if not callable(get_config):
        raise InputError(
            f"--config: {path} has no get_config; write `def get_config(variant=''):` that returns "
            "a changed bitdiff_jax.config.default()"
        )
    try:
        config = get_config(variant)
    except InputError:
        raise
    except Exception as error:
        raise InputError(_failure(path, error)) from error
    if not isinstance(config, ml_collections.ConfigDict):
        raise InputError(
            f"--config: get_config in {path} returned {type(config).__name__}, not a ConfigDict; "
            "end it with `return config`"
        )
    return config


def locate(name: str) -> tuple[pathlib.Path, str]:
    """Path of a config's file, and the variant asked for ('' if none)."""
    # A variant follows the last colon; a path may hold others.
    file = re.fullmatch(r"(?P<path>.*\.py)(:(?P<variant>[^/]*))?", name)
    if file:
        path = pathlib.Path(file["path"]).expanduser()
        if path.is_file():
            return path, file["variant"] or ""
        problem = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise InputError(f"--config: {path} {problem}; name a file with get_config")
    if not name:
        raise InputError(f"--config is empty; name one of {', '.join(names())}")
    stem, _, variant = name.partition(":")
    for folder in _CONFIG_DIRS:
        if "/" not in stem and (folder / f"{stem}.py").is_file():
            return folder / f"{stem}.py", variant
    if pathlib.Path(name).is_dir():
        raise InputError(f"--config: {name} is a folder; name a file in it that ends in .py")
    if pathlib.Path(name).is_file():
        raise InputError(f"--config: {name} is no Python file; a config's name ends in .py")
    raise InputError(
        f"--config: there is no config {stem!r}; known are {', '.join(names())}"
        f"{did_you_mean(stem, names())}"
    )


def names() -> list[str]:
    """Names of the configs that ship with the package."""
    folder = next(d for d in _CONFIG_DIRS if d.is_dir())
    return sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_"))


def _import(path: pathlib.Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"bitdiff_config_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except InputError:
        raise
    # Such as a script without `if __name__ == "__main__"`, which ends.
    except (Exception, SystemExit) as error:
        raise InputError(_failure(path, error)) from error
    return module


def _failure(path: pathlib.Path, error: BaseException) -> str:
    """Where in a config's file an error arose, and what it is, in one line."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    # Keys come in quotes, and of an unknown one ml_collections shows the whole config.
    text = re.sub(r"^'(.*)'$", r"\1", text, flags=re.DOTALL)
    text = re.sub(r" Other fields present: .*?(?=Did you mean|\Z)", " ", text, flags=re.DOTALL)
    place = f"{path}, line {line}" if line else f"{path}"
    return f"--config: {place}: {type(error).__name__}: {' '.join(text.split())}; correct it"
