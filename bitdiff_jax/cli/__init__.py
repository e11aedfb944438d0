"""The `bitdiff` command; each subcommand is one thin file."""
