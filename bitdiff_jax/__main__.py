"""`python -m bitdiff_jax` is the `bitdiff` command."""

from bitdiff_jax.cli.main import run

run()
