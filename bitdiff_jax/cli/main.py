"""`bitdiff SUBCOMMAND ...`."""

import errno
import importlib
import io
import os
import sys
from importlib import metadata

import bitdiff_jax
from bitdiff_jax.cli import allocator, logs
from bitdiff_jax.errors import InputError, Interrupted, did_you_mean

_COMMANDS = {
    "quickstart": "train a small model on procedural scenes, evaluate it and use it",
    "prepare": "turn a data set into records that train fast",
    "train": "train a model, or resume a training",
    "segment": "segment pictures with a trained model",
    "join": "one table of those of all shards of `bitdiff segment --shard`",
    "evaluate": "score a trained model, or anyone's segmentations on disk",
    "compare": "several tools' segmentations side by side, with paired tests",
    "consensus": "one label map for several people's, tools' or samples' of the same images",
    "serve": "a page in the browser: drop an image, look at its regions, take them along",
    "pack": "make one file or a hub's folder of a trained model",
    "import-reference": "make a model of a checkpoint of the paper's released code",
    "export": "write a trained model as a program for machines without this package",
    "compile": "compile for a TPU or GPU that is not there; tell what it needs",
    "repro": "measure the paper's claims, each by one command",
}


# What a user can mend of what the system says of a file.
_SYSTEM = {
    errno.ENOSPC: "no space left; free some and run it again",
    errno.EDQUOT: "no space left; free some and run it again",
    errno.EACCES: "permission denied; change its permissions, or name another place",
    errno.EPERM: "not permitted; change its permissions, or name another place",
    errno.EROFS: "is on a disk that can only be read; name another place",
    errno.ENOTDIR: "is inside a file; name a folder",
    errno.EISDIR: "is a folder; name a file",
    errno.ENAMETOOLONG: "the name is too long; use a shorter one",
    errno.ELOOP: "is a link to itself; name another place",
}


def main(argv: list[str]) -> int:
    """Runs a subcommand and returns the exit code.

    2 is for what the user can mend, 75 (EX_TEMPFAIL) for a training that a signal stopped and that
    the same command resumes, 130 for Ctrl-C elsewhere.
    """
    if not argv or argv[0] in ("-h", "--help", "help"):
        print("usage: bitdiff SUBCOMMAND [options]; `bitdiff SUBCOMMAND --help` tells them\n")
        for name, purpose in _COMMANDS.items():
            print(f"  {name:18s}{purpose}")
        print("\n  --version         the version of bitdiff_jax, jax and Python")
        return 0 if argv else 2
    if argv[0] in ("--version", "-V", "version"):
        python = ".".join(map(str, sys.version_info[:3]))
        jax = metadata.version("jax")
        print(f"bitdiff_jax {bitdiff_jax.__version__} (jax {jax}, Python {python})")
        return 0
    for stream in (sys.stdout, sys.stderr):
        # Names of files may hold what the terminal's encoding does not have.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    name, *rest = argv
    if name not in _COMMANDS:
        hint = did_you_mean(name, _COMMANDS)
        print(
            f"bitdiff: error: unknown subcommand {name!r}; known are {', '.join(_COMMANDS)}{hint}",
            file=sys.stderr,
        )
        return 2
    # Imported here: `bitdiff --help` should not wait for jax.
    command = importlib.import_module(f"bitdiff_jax.cli.{name.replace('-', '_')}")
    try:
        logs.set_up()
        return command.main(rest)
    except Interrupted as stop:
        print(f"bitdiff {name}: {stop}", file=sys.stderr)
        return os.EX_TEMPFAIL
    except KeyboardInterrupt:
        print(f"bitdiff {name}: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if (message := _in_one_line(error)) is None:
            raise
        print(f"bitdiff {name}: error: {message}", file=sys.stderr)
        return 2


def _in_one_line(error: Exception) -> str | None:
    """What a user can mend, or None for an error of the program."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, ImportError) and "gcsfs" in str(error):
        return "gs:// needs gcsfs: pip install 'bitdiff_jax[gcs]'"
    if isinstance(error, KeyError) and str(error.args[0]).endswith("://"):  # from etils.epath
        return f"{error.args[0]} cannot be read or written here; use a local path, gs:// or s3://"
    if isinstance(error, OSError) and error.errno in _SYSTEM:
        return (
            f"{error.filename}: {_SYSTEM[error.errno]}" if error.filename else _SYSTEM[error.errno]
        )
    if isinstance(error, RuntimeError | AssertionError):
        return _platform_fault()
    return None


def _platform_fault() -> str | None:
    """What is wrong with JAX_PLATFORMS, if jax cannot start because of it."""
    wanted = os.environ.get("JAX_PLATFORMS", "")
    if not wanted or "jax" not in sys.modules:
        return None
    try:
        sys.modules["jax"].devices()
    except (RuntimeError, AssertionError):
        return (
            f"JAX_PLATFORMS={wanted}: jax finds no such device here; check its driver and that "
            "jax's plugin for it is installed (pip install 'bitdiff_jax[cuda12]', [cuda13] or "
            "[tpu]), or unset JAX_PLATFORMS to use what there is"
        )
    return None


def run() -> None:
    """Entry point of the console script."""
    if allocator.only_cpu():
        allocator.keep_memory()
    sys.exit(main(sys.argv[1:]))
