"""Checks of every setting, before anything compiles or is written.

`table` has the domain of each single setting, and `combinations` the conditions on several. A new
key in `bitdiff_jax.config.default` needs a line in `table`; a test checks this.
"""

from bitdiff_jax.config_checks.table import check, check_values, settings

__all__ = ["check", "check_values", "settings"]
