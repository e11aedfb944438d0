"""Packages that only some formats need."""

import importlib
from typing import Any

from bitdiff_jax.errors import InputError


def load(package: str, what: str) -> Any:
    """Imports a package that is an extra of the same name.

    Args:
        package: name of the package, and of the extra.
        what: needs it, for the message.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        raise InputError(f"{what} needs {package}: pip install 'bitdiff_jax[{package}]'") from None
