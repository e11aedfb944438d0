"""Every setting is checked here, before anything compiles or is written.

`table` has the domain of each setting by itself, `combinations` what several must agree on. A new
key in `bitdiff_jax.config.default` needs a line in `table`; a test holds this.
"""

from bitdiff_jax.config_checks.table import check, settings

__all__ = ["check", "settings"]
