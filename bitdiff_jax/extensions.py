"""Parts of other packages by name: `package.module:name`, wherever a config names a part of ours.

A network, data source, encoding, loss, weight, step method, measure or output format that is not of
this package is named by the module that defines it and the name in it. The module has to be
importable where the command runs: installed, or in the working folder.
"""

import importlib
import os
import re
import sys
import traceback
from typing import Any

from bitdiff_jax.errors import InputError, did_you_mean

_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")

# Files whose lines are of no help to whom a part belongs: ours and those of what is built upon.
_NOT_THEIRS = re.compile(
    rf"{re.escape(os.path.dirname(__file__))}\b|.*site-packages.(jax|jaxlib|flax|numpy)\b|<"
)


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
        raise InputError(f"{key}={text!r} is not of the form package.module:name; write it so")
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
                "installed; install it"
            ) from error
        if module_name.endswith(".py"):
            raise InputError(
                f"{key}={text!r} names a file; say {module_name.removesuffix('.py')}:{name}, the "
                "module's name"
            ) from None
        raise InputError(
            f"{key}={text!r}: there is no module {error.name!r}; install it, or run the command "
            "in the folder that holds it"
        ) from None
    # Such as a script without `if __name__ == "__main__"`, which ends.
    except (Exception, SystemExit) as error:
        raise InputError(
            f"{key}={text!r}: {module_name} cannot be imported ({failure(error)}); correct it, or "
            "name another module"
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise InputError(
                f"{key}={text!r}: {module_name} has no {name}{did_you_mean(part, dir(found))}; "
                "correct it, or define it there"
            )
        found = getattr(found, part)
    return found


def failure(error: BaseException) -> str:
    """What other people's code raised, and where, in one line: 'KeyError: 'a', cells.py line 7'."""
    text = " ".join(str(error).split())
    told = type(error).__name__ + (f": {text}" if text else "")
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [each for each in frames if not _NOT_THEIRS.match(each.filename)]
    if isinstance(error, SyntaxError) or not theirs:  # names its own place, or has none
        return told
    return f"{told}, {os.path.basename(theirs[-1].filename)} line {theirs[-1].lineno}"


def as_tuples(value: Any) -> Any:
    """A setting with its lists as tuples, so that what is made with it can be hashed."""
    return tuple(map(as_tuples, value)) if isinstance(value, list | tuple) else value
