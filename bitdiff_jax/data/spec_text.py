r"""The text of a spec, `KIND[:PATH][,key=value]...`: taken apart and put together.

A path or a value that holds a comma or a semicolon stands in double quotes, and a double quote
inside them is written twice:

    folder:"/data/cells, 2024",split=train
    masks:"/data/9"", discs";scenes,level=1

Quotes count only where a path or a value begins; elsewhere they are characters like others. `~` at
the beginning of a path that is not quoted is the home folder, as in a shell.
"""

import dataclasses
import re
from collections.abc import Mapping

from bitdiff_jax import files
from bitdiff_jax.errors import InputError

_KIND = re.compile(r"[^:,;]*")
_KEY = re.compile(r"[^=,;]*")
_PLAIN = re.compile(r"[^,;]*")
_QUOTED = re.compile(r'\s*"((?:[^"]|"")*)"\s*(?=[,;]|\Z)')


@dataclasses.dataclass(frozen=True)
class Spec:
    """One spec.

    Attributes:
        kind: what stands before the first colon.
        path: what stands behind it, '' without one.
        options: the values by key.
        text: the spec as it was written.
    """

    kind: str
    path: str
    options: Mapping[str, str]
    text: str


def parse(text: str) -> list[Spec]:
    """The specs of a text, which are joined by ';'; empty ones do not count.

    Raises:
        InputError: a part that is not of the form key=value, a key that is there twice, or a quote
            without its end.
    """
    specs = []
    place = 0
    while place < len(text):
        spec, place = _parse_one(text, place)
        if spec.text:
            specs.append(spec)
        place += 1
    return specs


def write(kind: str, path: str = "", options: Mapping[str, str] | None = None) -> str:
    """The text that `parse` takes apart into these.

    Args:
        kind: a kind, or package.module of an own source.
        path: any path; '' for none.
        options: values by key, of text.
    """
    pairs = (f"{key}={_quoted(value)}" for key, value in (options or {}).items())
    # Not for the home folder, if it begins as that does.
    return ",".join([f"{kind}:{_quoted(path, also=path.startswith('~'))}", *pairs])


def _quoted(value: str, also: bool = False) -> str:
    """The value, in quotes where it needs them or `also` asks for them."""
    plain = value == value.strip() and not value.startswith('"') and not set(value) & {",", ";"}
    if plain and not also:
        return value
    return '"' + value.replace('"', '""') + '"'


def _parse_one(text: str, begin: int) -> tuple[Spec, int]:
    """The spec that begins here, and the place of the ';' or the end behind it."""
    kind, place = _match(_KIND, text, begin)
    path = ""
    if text[place : place + 1] == ":":
        is_quoted = _QUOTED.match(text, place + 1) is not None
        path, place = _value(text, place + 1)
        path = path if is_quoted else files.at_home(path)
    options: dict[str, str] = {}
    while text[place : place + 1] == ",":
        start = place + 1
        key, place = _match(_KEY, text, start)
        if text[place : place + 1] != "=" or not key:
            _, place = _match(_PLAIN, text, start)
            raise InputError(
                f"data: {text[start:place]!r} in {text.strip()!r} is not of the form key=value; a "
                'path or value with a comma stands in double quotes, folder:"/data/a, b"'
            )
        if key in options:
            raise InputError(f"data: {text.strip()!r} says {key}= twice; say it once")
        options[key], place = _value(text, place + 1)
    return Spec(kind, path, options, text[begin:place].strip()), place


def _value(text: str, begin: int) -> tuple[str, int]:
    match = _QUOTED.match(text, begin)
    if match:
        return match[1].replace('""', '"'), match.end()
    value, place = _match(_PLAIN, text, begin)
    if value.startswith('"'):
        raise InputError(
            f"data: the quote in {text.strip()!r} has no end before a comma or semicolon; close "
            "it, and write a double quote inside it twice"
        )
    return value, place


def _match(pattern: re.Pattern[str], text: str, begin: int) -> tuple[str, int]:
    match = pattern.match(text, begin)
    assert match is not None  # the patterns match the empty text
    return match[0].strip(), match.end()
