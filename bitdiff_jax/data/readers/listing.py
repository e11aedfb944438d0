"""The files in a folder of a data set: which are read, and which may be passed over."""

import os
from collections.abc import Container

from etils import epath

from bitdiff_jax import files
from bitdiff_jax.data import file_names, images
from bitdiff_jax.errors import InputError

# Texts and tables that may lie beside pictures; other files are not passed over unread.
_SIDE_SUFFIXES = frozenset(
    {
        ".txt", ".csv", ".tsv", ".json", ".xml", ".xmp", ".md", ".rst", ".html", ".pdf", ".yaml",
        ".yml", ".log", ".ini", ".db", ".xls", ".xlsx",
    }
)  # fmt: skip
_SIDE_NAMES = frozenset({"readme", "license", "licence", "copying"})


def entries(folder: epath.Path) -> list[epath.Path]:
    """What is in a folder, sorted by name, without what is hidden or a system's own.

    Nothing if the folder does not exist.

    Raises:
        InputError: it cannot be listed.
    """
    try:
        return sorted(
            (path for path in folder.iterdir() if not file_names.is_litter(path.name)),
            key=lambda path: path.name,
        )
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(
            f"{os.fspath(folder)}: cannot be listed ({files.reason(error)}); check its permissions"
        ) from None


def pictures(folder: epath.Path) -> dict[str, str]:
    """The picture files in a folder: name without ending -> name, in order.

    Raises:
        InputError: it cannot be listed, two files of one name, or files that are neither pictures
            that can be read nor texts: left out, they would be missed by nobody.
    """
    found: dict[str, str] = {}
    for path in readable(folder, images.IMAGE_SUFFIXES, "convert it to PNG or JPEG"):
        if path.stem in found:
            raise InputError(f"{path}: a second picture with ID {path.stem}; rename or remove one")
        found[path.stem] = path.name
    return found


def label_files(
    folder: epath.Path, suffixes: Container[str] = images.LABEL_SUFFIXES
) -> list[epath.Path]:
    """The files of label maps in a folder, or of masks (`images.MASK_SUFFIXES`), in order.

    Raises:
        InputError: it cannot be listed, or holds files that are neither of a lossless form that can
            be read nor texts: left out, what they hold would be taken for absent.
    """
    return readable(folder, suffixes, "save it as grey PNG")


def readable(folder: epath.Path, suffixes: Container[str], remedy: str) -> list[epath.Path]:
    """The files in a folder with these endings; `InputError` if there are others than texts."""
    found, others = [], []
    for path in entries(folder):
        suffix = path.suffix.lower()
        if suffix in suffixes:
            found.append(path)
        elif suffix not in _SIDE_SUFFIXES and path.stem.lower() not in _SIDE_NAMES:
            others += [] if path.is_dir() else [path]
    if others:
        why = "JPEG alters region ids; " if others[0].suffix.lower() in (".jpg", ".jpeg") else ""
        more = f", nor can {len(others) - 1} more there" if len(others) > 1 else ""
        raise InputError(
            f"{others[0]}: cannot be used{more}, and left out what it shows would be missing; "
            f"{why}{remedy}, or move it elsewhere"
        )
    return found


def by_ending(folder: epath.Path, ending: str, suffixes: Container[str]) -> dict[str, str]:
    """Files called NAME + ending + one of the suffixes, '_seg.png' for instance, by NAME.

    Raises:
        InputError: it cannot be listed, or two files differ in their suffixes alone.
    """
    found: dict[str, str] = {}
    for path in entries(folder):
        if path.suffix.lower() in suffixes and path.stem.endswith(ending):
            name = path.stem.removesuffix(ending)
            if name in found:
                raise InputError(f"{path}: {found[name]} is there too; remove one of the two")
            found[name] = path.name
    return found
