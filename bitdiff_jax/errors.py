"""The error types of the package: for input that cannot be used, and for a run that was stopped."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """A file, argument or setting that the package cannot use.

    The message is one line that names the argument, the value that it got, and the remedy. The
    command line prints it as it stands; library callers may catch it as a `ValueError`.
    """


class Interrupted(Exception):
    """A signal asked a training to stop; its state is saved, and it can be resumed.

    Attributes:
        step: number of the last step taken, whose state is saved.
    """

    def __init__(self, step: int, reason: str):
        super().__init__(
            f"stopped by {reason} after step {step}, which is saved; "
            "run the same command again to go on"
        )
        self.step = step


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """'; did you mean WORD?' with the known word that is closest to a misspelt one, or ''."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else ""
