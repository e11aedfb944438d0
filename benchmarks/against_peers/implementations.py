r"""The plain network against the fused one: a training step or a sampler, and its compilation.

    python -m benchmarks.against_peers.implementations --config quickstart --batch_size 32
    python -m benchmarks.against_peers.implementations --config paper --batch_size 1 \
        --program sample

Both are the same function of the same parameters (`model.net.implementation`), in float32, in
alternating runs. Compilations alternate too, each in a process of its own with an empty cache;
`first call` is what a user waits for, tracing included.
"""

import argparse
import statistics
import tempfile
from typing import Any

from benchmarks.against_peers import compile_time, paired

IMPLEMENTATIONS = ("plain", "fused")
BUILDERS = {"train": "build_train_step", "sample": "build_sampler"}


def compilations(config: str, program: str, batch_size: int, rounds: int) -> dict[str, Any]:
    """Seconds of the first call, cold, by implementation; a list of one figure a round."""
    seconds: dict[str, list[float]] = {name: [] for name in IMPLEMENTATIONS}
    for number in range(rounds):
        for name in IMPLEMENTATIONS[:: -1 if number % 2 else 1]:
            with tempfile.TemporaryDirectory() as cache:
                found = compile_time.in_a_process(
                    config, program, batch_size, cache, "--implementation", name
                )
            seconds[name].append(found["first call"])
    return seconds


def main() -> None:
    """Reads the flags, measures, writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--config", default="quickstart", help="whose network (quickstart)")
    add("--batch_size", type=int, default=32, help="images a step or a draw (32)")
    add("--program", choices=BUILDERS, default="train")
    add("--compilations", type=int, default=1, help="rounds of compilations; 0 leaves them out (1)")
    paired.add_options(parser, rounds=5)
    args = parser.parse_args()
    about = paired.check_idle(args.anyway)
    title = f"{args.program}, {args.config}, batch {args.batch_size}, float32"
    results: list[dict[str, Any]] = []
    if args.compilations:
        seconds = compilations(args.config, args.program, args.batch_size, args.compilations)
        print(f"{title}: first call, cold")
        for name, each in seconds.items():
            print(f"{name:8}{statistics.median(each):8.1f} s [{min(each):.1f}, {max(each):.1f}]")
        results.append({"title": f"{title}, first call", "machine": about, "seconds": seconds})
    shared = {"config": args.config, "batch_size": args.batch_size}
    peers = [
        paired.Peer(
            name,
            f"benchmarks.against_peers.jax_programs:{BUILDERS[args.program]}",
            shared | {"implementation": name},
        )
        for name in IMPLEMENTATIONS
    ]
    results.append(paired.compare(title, peers, args, scale=1e3, warmup=2))
    paired.write(args.json, results)


if __name__ == "__main__":
    paired.run(main)
