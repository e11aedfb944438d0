"""The one error type for what a user handed in."""


class InputError(ValueError):
    """A file, argument or setting that the package cannot use.

    The message is one line: what it is, the value that was got, and the remedy. The command line
    prints it as it stands; library callers may catch it as a `ValueError`.
    """
