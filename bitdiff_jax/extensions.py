"""Parts of other packages by name: `package.module:name`, wherever a config names a part of ours.

A network, data source, encoding, loss, weight, step method, measure or output format that is not of
this package is named by the module that defines it and the name in it. The module has to be
importable where the command runs: installed, or in the working folder.
"""

import importlib
import os
import re
import sys
from typing import Any

from bitdiff_jax.errors import InputError

_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def is_reference(text: str) -> bool:
    """Whether `text` has the form `package.module:name`."""
    return _REFERENCE.fullmatch(text) is not None


def resolve(text: str, key: str) -> Any:
    """Imports what `package.module:name` names.

    Args:
        text: the reference; `name` may be dotted, for an attribute of a class.
        key: name of the setting that holds the reference, for messages.

    Raises:
        InputError: the text is no reference, the module cannot be imported, or it has no such name.
    """
    if not is_reference(text):
        raise InputError(f"{key}={text!r} is not of the form package.module:name")
    module_name, _, name = text.partition(":")
    if os.getcwd() not in sys.path:
        # As `python -m` does, so that a module in the working folder can be named.
        sys.path.append(os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        parts = module_name.split(".")
        if error.name not in {".".join(parts[: i + 1]) for i in range(len(parts))}:
            raise InputError(
                f"{key}={text!r}: {module_name} needs the module {error.name!r}, which is not "
                "installed"
            ) from error
        raise InputError(
            f"{key}={text!r}: there is no module {error.name!r}; install it, or run the command "
            "in the folder that holds it"
        ) from None
    except Exception as error:
        raise InputError(
            f"{key}={text!r}: {module_name} cannot be imported ({type(error).__name__}: {error})"
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise InputError(f"{key}={text!r}: {module_name} has no {name}")
        found = getattr(found, part)
    return found
