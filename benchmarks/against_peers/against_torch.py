"""What the benchmarks of whole programs share: one batch size after the other, against the twin."""

import argparse
from typing import Any

from benchmarks.against_peers import paired


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of PyTorch's form, and those of every benchmark."""
    add = parser.add_argument
    add("--layout", choices=("auto", "channels_last", "contiguous"), default="auto")
    add("--attention", choices=("auto", "fused", "products"), default="auto")
    paired.add_options(parser, rounds=5)


def compare(
    builder: str, title: str, args: argparse.Namespace, target: float, **settings: Any
) -> None:
    """Measures and writes.

    Args:
        builder: of both programs, a name in jax_programs and torch_programs.
        title: of a result, before its batch size.
        args: the flags, `config` and `batch_size` (several) among them.
        target: times PyTorch's.
        settings: more of what both builders take.
    """
    results = []
    for batch_size in args.batch_size:
        shared = {"config": args.config, "batch_size": batch_size, **settings}
        torch = shared | {"layout": args.layout, "attention": args.attention}
        peers = [
            paired.Peer("ours", f"benchmarks.against_peers.jax_programs:{builder}", shared),
            paired.Peer("PyTorch", f"benchmarks.against_peers.torch_programs:{builder}", torch),
        ]
        name = f"{title}, batch {batch_size}, float32"
        # The second iteration still makes the heap grow.
        measured = paired.compare(name, peers, args, scale=1e3, target=target, warmup=2)
        results.append(measured)
        paired.write(args.json, results)
