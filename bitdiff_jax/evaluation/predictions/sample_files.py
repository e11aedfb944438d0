"""Which files named `ID_0`, `ID_1`, ... are maps of one image, and which are images of their own.

A folder with `img_0.png` to `img_9.png` may hold ten images, or ten maps of the image `img`:
samples of a prediction, annotators of a truth. The names alone do not decide it. Other knowledge
does: the names of the other side, those of images and splits, and the sizes of the files. Where
both readings stay possible, an error asks the caller to choose.
"""

import re
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, get_args

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions.image_names import Names, short_name

Reading = Literal["whole", "sample_suffix"]
READINGS: tuple[str, ...] = get_args(Reading)

_SUFFIX = re.compile(r"(?P<id>.+)_(?P<sample>\d+)")


class Written(NamedTuple):
    """Names of images from elsewhere, which help to decide how a folder's names are meant.

    Attributes:
        names: the names as they are written.
        raw: whether they are names of files, of which `ID_0` may be a sample of ID; False where
            each is known to be an image.
    """

    names: tuple[str, ...]
    raw: bool = False


class _Group(NamedTuple):
    """Files `ID_k` of one ID."""

    identity: str
    stems: tuple[str, ...]  # names without ending, by k
    regular: bool  # whether k = 0, 1, ..., n - 1 without leading zeros: frame_0001 is a name


def group(
    stems: Iterable[str],
    names: Names,
    *,
    where: str,
    reading: Reading | None = None,
    others: Iterable[Written] = (),
    size: Callable[[str], tuple[int, int] | None] = lambda stem: None,
) -> dict[str, list[str]]:
    """Groups the files of a folder by image.

    Args:
        stems: names of the files without their ending.
        names: names of the other side, if they are known to be names of images; they decide first.
        where: name of the folder, for the message.
        reading: 'whole' (each file is an image) or 'sample_suffix' (`ID_k` is a map of ID), for
            files about which `names` does not decide; None goes on to `others` and `size`.
        others: names from elsewhere, used where neither decides; they may be costly to iterate.
        size: function of a stem that returns the file's (width, height), or None if it cannot be
            read. Maps of one image have the same size.

    Returns:
        The stems of each image's maps, in order, by the image's name.

    Raises:
        InputError: both readings are possible.
    """
    stems = tuple(stems)
    groups = _groups(stems)
    readings = {each: _by_names(each, names) for each in groups}
    if reading is not None:
        readings = {each: found or reading for each, found in readings.items()}
    elif names.truth:
        # A group that the other side does not have is missing there under either reading.
        readings = {
            each: "whole" if found is None and not _is_of(each, names) else found
            for each, found in readings.items()
        }
    if None in readings.values():
        tables = [(Names(each.names), _open_in(each)) for each in others]
        readings = {each: found or _by_others(each, tables) for each, found in readings.items()}
    readings = {each: found or _by_size(each, size) for each, found in readings.items()}
    usual = {found for each, found in readings.items() if found and each.regular}
    open_ = [each for each, found in readings.items() if found is None]
    if len(usual) == 1:  # a folder is written in one way
        readings |= dict.fromkeys(open_, usual.pop())
    elif doubtful := [each for each in open_ if len(each.stems) > 1]:
        raise _both_possible(doubtful[0], where)
    several = {each.identity: each for each, found in readings.items() if found == "sample_suffix"}
    grouped = {stem for each in several.values() for stem in each.stems}
    found: dict[str, list[str]] = {stem: [stem] for stem in stems if stem not in grouped}
    return found | {identity: list(each.stems) for identity, each in several.items()}


def _groups(stems: tuple[str, ...]) -> list[_Group]:
    members: dict[str, list[tuple[int, str]]] = {}
    for stem in stems:
        if match := _SUFFIX.fullmatch(stem):
            members.setdefault(match["id"], []).append((int(match["sample"]), stem))
    there = set(stems)
    found = []
    for identity, pairs in members.items():
        if identity not in there:
            pairs.sort()
            texts = [f"{identity}_{k}" for k in range(len(pairs))]
            ordered = tuple(stem for _, stem in pairs)
            found.append(_Group(identity, ordered, list(ordered) == texts))
    return found


def _is_of(group: _Group, names: Names) -> bool:
    return names.find(group.identity) is not None


def _hits(group: _Group, names: Names) -> bool:
    return any(names.find(stem) is not None for stem in group.stems)


def _by_names(group: _Group, names: Names) -> Reading | None:
    """The reading by names that are all images; None if they have neither form or both."""
    hits, is_of = _hits(group, names), _is_of(group, names)
    if hits == is_of:
        return None
    return "whole" if hits else "sample_suffix"


def _by_others(group: _Group, tables: Iterable[tuple[Names, frozenset[str]]]) -> Reading | None:
    """The reading by all of these names, where they agree."""
    found = {
        _by_names(group, names) for names, doubtful in tables if group.identity not in doubtful
    } - {None}
    return found.pop() if len(found) == 1 else None


def _open_in(written: Written) -> frozenset[str]:
    """The IDs for which names of files do not decide, since they have the same two readings."""
    groups = _groups(tuple(map(short_name, written.names))) if written.raw else []
    return frozenset(each.identity for each in groups if each.regular)


def _by_size(group: _Group, size: Callable[[str], tuple[int, int] | None]) -> Reading | None:
    if not group.regular:
        return "whole"
    sizes = {size(stem) for stem in group.stems} - {None}
    return "whole" if len(sizes) > 1 else None


def _both_possible(group: _Group, where: str) -> InputError:
    first, last, count = group.stems[0], group.stems[-1], len(group.stems)
    return InputError(
        f"{where}: {first} to {last} may be {count} images, or {count} maps of one image "
        f"{group.identity!r} (samples or annotators), and nothing here tells which; say "
        "names=whole if each file is an image, or names=sample_suffix if _0, _1, ... are maps of "
        "one (on the command line --names)"
    )
