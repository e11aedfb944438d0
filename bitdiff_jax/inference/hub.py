"""Models of the Hugging Face hub; the only importer of `huggingface_hub`, the extra `hub`."""

import importlib
import re
from typing import NamedTuple

from bitdiff_jax.errors import InputError

_REPOSITORY = re.compile(r"(\w[\w.-]*/\w[\w.-]*)(?:@([^@\s]+))?")
_UNREACHABLE = {
    "LocalEntryNotFoundError",
    "OfflineModeIsEnabled",
    "ConnectionError",
    "ConnectError",
    "TimeoutError",
    "TimeoutException",
}


class Repository(NamedTuple):
    """A repository of the hub."""

    name: str  # OWNER/NAME
    revision: str | None = None  # a branch, a tag or a commit; None for the default branch


def parse(text: str) -> Repository | None:
    """'OWNER/NAME[@REVISION]' -> the repository; None for a text of another form."""
    match = _REPOSITORY.fullmatch(text)
    return Repository(match[1], match[2]) if match else None


def fetch(repository: Repository, file: str) -> str:
    """Downloads a file of a repository unless this machine has it, and returns its path.

    Raises:
        InputError: `huggingface_hub` is not installed, there is no such repository, revision or
            file, it may not be read, or it cannot be reached.
    """
    name, revision = repository
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError:
        raise InputError(
            f"weights {name!r}: no such folder or file here; to get it as a repository of Hugging "
            "Face, pip install 'bitdiff_jax[hub]'"
        ) from None
    try:
        return str(hub.hf_hub_download(name, file, revision=revision))
    except Exception as error:  # of several packages and versions, which names tell apart
        raise InputError(f"weights {name!r}: {_trouble(error, repository, file)}") from None


def _trouble(error: Exception, repository: Repository, file: str) -> str:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & _UNREACHABLE:
        return (
            "no such folder or file here, Hugging Face cannot be reached, and this machine has no "
            "copy from there; connect to the network, or give a local folder or file"
        )
    if "RevisionNotFoundError" in kinds:
        return (
            f"the repository has no revision {repository.revision!r}; give a branch, a tag or a "
            "commit after the @"
        )
    if "GatedRepoError" in kinds:
        return "its owner asks for consent; give it on the repository's page, and log in"
    if "RepositoryNotFoundError" in kinds:
        return (
            "no such folder or file here, and no such repository on Hugging Face, or a private "
            "one; check the name, or log in"
        )
    if "EntryNotFoundError" in kinds:
        return (
            f"the repository has no {file}, which `bitdiff pack` writes; give one with a model of "
            "bitdiff_jax"
        )
    told = " ".join(str(error).split())[:160] or type(error).__name__
    return f"cannot be fetched from Hugging Face ({told}); give a local folder or file"
