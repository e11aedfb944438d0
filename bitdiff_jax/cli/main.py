"""`bitdiff SUBCOMMAND ...`."""

import errno
import importlib
import os
import sys

from bitdiff_jax.cli import allocator, logs
from bitdiff_jax.errors import InputError, Interrupted

_COMMANDS = {
    "quickstart": "train a small model on procedural scenes, evaluate it and use it",
    "prepare": "turn a data set into records that train fast",
    "train": "train a model, or resume a training",
    "segment": "segment pictures with a trained model",
    "evaluate": "score a trained model, or anyone's segmentations on disk",
    "compare": "several tools' segmentations side by side, with paired tests",
    "compile": "compile for a TPU or GPU that is not there; tell what it needs",
}


def main(argv: list[str]) -> int:
    """Runs a subcommand and returns the exit code.

    2 is for what the user can mend, 75 (EX_TEMPFAIL) for a training that a signal stopped and that
    the same command resumes, 130 for Ctrl-C elsewhere.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: bitdiff SUBCOMMAND [options]; `bitdiff SUBCOMMAND --help` tells them\n")
        for name, purpose in _COMMANDS.items():
            print(f"  {name:12s}{purpose}")
        return 0 if argv else 2
    name, *rest = argv
    if name not in _COMMANDS:
        print(
            f"bitdiff: error: unknown subcommand {name!r}; known are {', '.join(_COMMANDS)}",
            file=sys.stderr,
        )
        return 2
    # Imported here: `bitdiff --help` should not wait for jax.
    command = importlib.import_module(f"bitdiff_jax.cli.{name}")
    try:
        logs.set_up()
        return command.main(rest)
    except InputError as error:
        print(f"bitdiff {name}: error: {error}", file=sys.stderr)
        return 2
    except ImportError as error:
        if "gcsfs" not in str(error):
            raise
        print(
            f"bitdiff {name}: error: gs:// needs gcsfs: pip install 'bitdiff_jax[gcs]'",
            file=sys.stderr,
        )
        return 2
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        place = f"{error.filename}: " if error.filename else ""
        print(
            f"bitdiff {name}: error: {place}no space left; free some and run it again",
            file=sys.stderr,
        )
        return 2
    except Interrupted as stop:
        print(f"bitdiff {name}: {stop}", file=sys.stderr)
        return os.EX_TEMPFAIL
    except KeyboardInterrupt:
        print(f"bitdiff {name}: interrupted", file=sys.stderr)
        return 130


def run() -> None:
    """Entry point of the console script."""
    if allocator.only_cpu():
        allocator.keep_memory()
    sys.exit(main(sys.argv[1:]))
