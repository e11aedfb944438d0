"""`bitdiff join OUT`."""

import argparse
import sys

from bitdiff_jax.cli import options

_DESCRIPTION = """\
Make one regions.csv, images.csv and modes.csv of those of all shards that `bitdiff segment --shard`
drew into a folder, as one command without shards writes them. Shards that are not finished are
named, and nothing is written then. The shards' own tables stay."""


def main(argv: list[str]) -> int:
    """Parses the command line and joins.

    Args:
        argv: what follows `join` on the command line.

    Returns:
        0, or 1 if pictures could not be read; those are named on stderr.

    Raises:
        InputError: there are no shards, or not all are finished.
    """
    parser = options.Parser(
        prog="bitdiff join",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("out", metavar="OUT", help="the --out of `bitdiff segment --shard`")
    args = parser.parse_args(argv)

    # After the parsing: it imports jax.
    from bitdiff_jax.inference import joined_shards

    done = joined_shards.join(args.out)
    print(
        f"written: regions.csv and images.csv of {done.num_images} picture(s) of "
        f"{done.num_shards} shard(s) to {done.folder}"
    )
    for file in done.unread:
        print(f"bitdiff join: {file} could not be read", file=sys.stderr)
    return 1 if done.unread else 0
