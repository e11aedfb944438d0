"""Going on with a folder that was begun before."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from etils import epath

from bitdiff_jax import files
from bitdiff_jax.data import file_names
from bitdiff_jax.data.records import folder_layout, shard_files, shards
from bitdiff_jax.errors import InputError


def resume(out: epath.Path, parameters: dict[str, Any]) -> set[str]:
    """Begins, or goes on with an earlier run and clears its leavings.

    Args:
        out: the folder.
        parameters: all that determines the records.

    Returns:
        The names of the files that are there, those in the folder of progress too.

    Raises:
        InputError: other files, or a run with other parameters.
    """
    there = _list(out)
    path = out / folder_layout.PROGRESS / folder_layout.PARAMETERS
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        others = [name for name in there if not file_names.is_litter(name)]
        if set(others) - {folder_layout.PROGRESS}:
            raise InputError(
                f"--out {out}: holds other files, such as {min(others)}; name an empty folder"
            ) from None
        files.make_folder(path.parent, "--out")
        files.write(path, json.dumps(parameters, indent=1).encode())
        return set()
    except (OSError, ValueError):
        raise InputError(f"{path}: cannot be read; name another --out") from None
    _refuse_other(out, earlier, parameters)
    remove_partials(out)
    return there | _list(path.parent)


def _refuse_other(out: epath.Path, earlier: dict[str, Any], now: dict[str, Any]) -> None:
    now = json.loads(json.dumps(now))  # as it comes back from there
    key = next((key for key in now if earlier.get(key) != now[key]), None)
    if key is None:
        return
    before: Any = earlier.get(key)
    after: Any = now[key]
    if key == "splits":
        for split in after:
            if split in before and before[split] != after[split]:
                raise InputError(
                    f"--out {out}: the pictures of split {split!r} are others than when it was "
                    f"begun ({before[split]['pictures']}, now {after[split]['pictures']}); name "
                    "another folder, or remove this one"
                )
        before, after = ",".join(before), ",".join(after)
    raise InputError(
        f"--out {out}: was prepared with {key}={before}, not {after}; name another folder, or "
        "remove this one"
    )


def refuse_skipped(out: epath.Path, done: Sequence[folder_layout.Shard]) -> None:
    """Raises InputError if a finished shard lacks a picture."""
    for shard in done:
        for name, reason in shards.read_statistics(out, shard).skipped:
            raise InputError(
                f"--strict: an earlier run left out {name} ({reason}); mend it, remove "
                f"{out / shard.file} and run the same command again"
            )


def remove_damaged(
    out: epath.Path, num_records: Mapping[str, int], warn: Callable[[str], None] | None
) -> set[str]:
    """Removes the finished shards that cannot be read, so that they are made again.

    Those in a bucket are not read: it keeps what was written whole.

    Args:
        out: the folder; nobody else may be writing.
        num_records: what each finished shard has to hold, by its file's name.
        warn: called with a line for each that is removed.

    Returns:
        The names of those that were removed.
    """
    removed: set[str] = set()
    if not folder_layout.is_local(out):
        return removed
    for name, number in num_records.items():
        # A shard of no records is of no use to readers, which leave it alone.
        if number and (reason := shard_files.damage(out / name, number)):
            (out / name).unlink(missing_ok=True)
            removed.add(name)
            if warn:
                warn(f"{out / name}: is damaged ({reason}) and is made again")
    return removed


def remove_partials(out: epath.Path) -> None:
    """Removes what was left half-written; nobody else may be writing."""
    for folder in (out, out / folder_layout.PROGRESS):
        for name in _list(folder):
            if files.PARTIAL.fullmatch(name):
                (folder / name).unlink(missing_ok=True)


def _list(folder: epath.Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()}
    except FileNotFoundError:  # in a bucket there are no empty folders
        return set()
