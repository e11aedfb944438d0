"""`--config.model.PART.options.KEY=VALUE`: settings of parts of the user's own, by any name.

A part is the network, `net`, or the image encoder, `encoder`.
"""

import ast
import re
from typing import Any

from ml_collections import ConfigDict

from bitdiff_jax.errors import InputError

_FORM = re.compile(r"--config\.model\.(net|encoder)\.options\.([^=]*)(=?)(.*)", re.S)


def take(config: ConfigDict, arguments: list[str]) -> list[str]:
    """Sets the options among the arguments in `config`, and returns the other arguments.

    A value is read as a Python literal (`8`, `.5`, `True`, `(1,2)`), or else as text.

    Raises:
        InputError: an option without a value, or whose name is none.
    """
    rest = []
    for argument in arguments:
        found = _FORM.fullmatch(argument)
        if not found:
            rest.append(argument)
            continue
        part, name, equals, text = found.groups()
        if not equals or not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise InputError(
                f"{argument} is not of the form --config.model.{part}.options.NAME=VALUE"
            )
        options = config.model[part].options
        with options.unlocked(), options.ignore_type():
            options[name] = _value(text)
    return rest


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
