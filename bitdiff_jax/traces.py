"""What tracing gave, kept on disk: programs before compilation, and shapes of parameters.

A compiled program is found in JAX's persistent cache by its text, and to write that text a network
is traced again in each new process: on a CPU that is most of the time of a short run. A trace is
kept by what it was made of: the values that it depends on, this package's own source, the versions
of the libraries and JAX's settings. Values of code from outside the package are not kept, since
nothing here would notice a change of that code.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import pathlib
import types
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any

import jax
import numpy as np
from jax import export

from bitdiff_jax import files
from bitdiff_jax.errors import InputError

_PACKAGE = pathlib.Path(__file__).parent
_LIBRARIES = ("jax", "jaxlib", "flax", "numpy")
_MOST_FILES = 64
# Python's own, whose values a key is made of as they are written.
_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_folder: pathlib.Path | None = None


def keep_in(folder: pathlib.Path | None) -> None:
    """Keeps traces in this folder from now on; None keeps none, which is how a process starts."""
    global _folder
    _folder = folder


def program(
    jitted: Any, arguments: Sequence[Any], made_of: Any, *, shardings: Any = None
) -> jax.stages.Lowered:
    """`jitted.lower(*arguments)`, from its kept trace if there is one.

    Args:
        jitted: a `jax.jit` of a function that runs on one device.
        arguments: positional arguments, trees of arrays or of their shapes.
        made_of: everything besides the arguments that the program depends on.
        shardings: where the results are to be; None leaves it to JAX.

    Returns:
        The lowered program. A kept one and the one that is about to be kept are the same text, so
        that JAX's cache of compiled programs finds either.
    """
    shapes = jax.tree.map(lambda x: (np.shape(x), str(x.dtype)), tuple(arguments))
    key = _key("program", made_of, shapes)
    if key is None:
        lowered: jax.stages.Lowered = jitted.lower(*arguments)
        return lowered
    data = _read(key)
    exported = None
    if data is not None:
        with contextlib.suppress(Exception):  # of another build: traced again
            exported = export.deserialize(bytearray(data))
    if exported is None:
        try:
            exported = export.export(jitted)(*arguments)
            data = bytes(exported.serialize())
        except (ValueError, NotImplementedError):  # JAX writes no callbacks to Python, for one
            lowered = jitted.lower(*arguments)
            return lowered
        _write(key, data)
    again: jax.stages.Lowered = jax.jit(exported.call, out_shardings=shardings).lower(*arguments)
    return again


def shapes(init: Callable[[], Any], made_of: Any) -> Any:
    """`jax.eval_shape(init)` of nested dicts of arrays, from its kept trace if there is one.

    Args:
        init: a function of no arguments that returns nested dicts of arrays.
        made_of: everything that the shapes depend on.
    """
    key = _key("shapes", made_of, ())
    if key is None:
        return jax.eval_shape(init)
    if (data := _read(key)) is not None:
        return _as_shapes(json.loads(data))
    found = jax.eval_shape(init)
    with contextlib.suppress(TypeError):  # not nested dicts alone
        _write(key, json.dumps(_as_lists(found)).encode())
    return found


def _as_lists(tree: Any) -> Any:
    if isinstance(tree, dict):
        if not all(isinstance(name, str) for name in tree):
            raise TypeError("a name is no text")
        return {name: _as_lists(each) for name, each in tree.items()}
    if not isinstance(tree, jax.ShapeDtypeStruct):
        raise TypeError(f"{type(tree).__name__} is neither a dict nor a shape")
    return [list(tree.shape), str(tree.dtype)]


def _as_shapes(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _as_shapes(each) for name, each in tree.items()}
    shape, dtype = tree
    return jax.ShapeDtypeStruct(tuple(shape), jax.numpy.dtype(dtype))


def _key(kind: str, made_of: Any, shapes: Any) -> str | None:
    """The name of a trace's file; None if traces are not kept, or this one cannot be."""
    if _folder is None:
        return None
    try:
        told = "\n".join([kind, _described(made_of), repr(shapes), _surroundings()])
    except _NotOurs:
        return None
    return hashlib.sha256(told.encode()).hexdigest()


class _NotOurs(Exception):
    """A value of code whose changes would go unnoticed."""


def _described(value: Any) -> str:
    """A text that differs for values that differ; raises `_NotOurs`."""
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, tuple | list | frozenset | set):
        return f"{type(value).__name__}[{', '.join(map(_described, value))}]"
    if isinstance(value, Mapping):
        pairs = (f"{_described(k)}: {_described(each)}" for k, each in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, types.FunctionType | type) and _is_ours(value):
        if "<" in value.__qualname__:  # a lambda or a closure: its variables are not seen
            raise _NotOurs
        return f"{value.__module__}.{value.__qualname__}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type) and _is_ours(type(value)):
        names = [field.name for field in dataclasses.fields(value)]
        names = [name for name in names if name not in ("parent", "name")]  # a flax module's place
        told = (f"{name}={_described(getattr(value, name))}" for name in names)
        return f"{type(value).__module__}.{type(value).__qualname__}({', '.join(told)})"
    if isinstance(value, np.dtype | type(jax.numpy.float32)):
        return np.dtype(value).name
    raise _NotOurs


def _is_ours(value: Any) -> bool:
    return str(value.__module__).split(".")[0] == __name__.split(".")[0]


def _surroundings() -> str:
    """What else a trace depends on."""
    settings = {k: v for k, v in jax.config.values.items() if "cache" not in k}
    devices = jax.local_devices()
    return repr((_source(), sorted(settings.items()), devices[0].device_kind, len(devices)))


@functools.lru_cache(maxsize=1)
def _source() -> str:
    """A hash of this package's source and of the libraries' versions."""
    digest = hashlib.sha256()
    for name in _LIBRARIES:
        digest.update(f"{name} {metadata.version(name)}\n".encode())
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(f"{path.relative_to(_PACKAGE)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(key: str) -> bytes | None:
    """What was kept; None if nothing was, or something else is there now."""
    assert _folder is not None
    try:
        kept = (_folder / key).read_bytes()
    except OSError:
        return None
    stated, data = kept[: hashlib.sha256().digest_size], kept[hashlib.sha256().digest_size :]
    return data if hashlib.sha256(data).digest() == stated else None


def _write(key: str, data: bytes) -> None:
    """Keeps a trace, and forgets those that were kept longest ago; without a word if it cannot."""
    assert _folder is not None
    with contextlib.suppress(OSError, InputError):
        _folder.mkdir(parents=True, exist_ok=True)
        files.write(_folder / key, hashlib.sha256(data).digest() + data)
        kept = sorted(_folder.iterdir(), key=lambda path: path.stat().st_mtime)
        for path in kept[:-_MOST_FILES]:
            path.unlink(missing_ok=True)
