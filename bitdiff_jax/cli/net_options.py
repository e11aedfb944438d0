"""`--config.model.net.options.KEY=VALUE`: settings of a network of the user's own, by any name."""

import ast
import re
from typing import Any

from ml_collections import ConfigDict

from bitdiff_jax.errors import InputError

_PREFIX = "--config.model.net.options."


def take(config: ConfigDict, arguments: list[str]) -> list[str]:
    """Sets the options among the arguments in `config`, and returns the other arguments.

    A value is read as a Python literal (`8`, `.5`, `True`, `(1,2)`), or else as text.

    Raises:
        InputError: an option without a value, or whose name is none.
    """
    rest = []
    for argument in arguments:
        if not argument.startswith(_PREFIX):
            rest.append(argument)
            continue
        name, equals, text = argument.removeprefix(_PREFIX).partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise InputError(f"{argument} is not of the form {_PREFIX}NAME=VALUE")
        options = config.model.net.options
        with options.unlocked(), options.ignore_type():
            options[name] = _value(text)
    return rest


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
