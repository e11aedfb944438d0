"""A guided sample of 8 steps, 16 forward passes, ours against PyTorch's, in float32.

    python -m benchmarks.sample                                 # the paper's network, batches 1, 4

Ours is the program of a `Segmenter`, from uint8 pictures to codes on the host. PyTorch's runs the
same steps on the same network in inference mode, with what is faster here: both halves of the
guidance as one batch or one after the other, either layout in memory, either form of attention.
"""

import argparse

from benchmarks import paired

TARGET = 0.8  # times PyTorch's


def main() -> None:
    """Reads the flags, measures, writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--config", default="paper", help="whose network (paper)")
    add("--batch_size", type=int, nargs="+", default=[1, 4], help="pictures at once (1 4)")
    add("--num_steps", type=int, default=8, help="steps (8)")
    add("--layout", choices=("auto", "channels_last", "contiguous"), default="auto")
    add("--attention", choices=("auto", "fused", "products"), default="auto")
    paired.add_options(parser, rounds=5)
    args = parser.parse_args()
    results = []
    for batch_size in args.batch_size:
        shared = {
            "config": args.config,
            "batch_size": batch_size,
            "num_steps": args.num_steps,
        }
        torch = shared | {"layout": args.layout, "attention": args.attention}
        peers = [
            paired.Peer("ours", "benchmarks.jax_programs:build_sampler", shared),
            paired.Peer("PyTorch", "benchmarks.torch_programs:build_sampler", torch),
        ]
        title = f"guided sample, {args.config}, {args.num_steps} steps, batch {batch_size}, float32"
        results.append(paired.compare(title, peers, args, scale=1e3, target=TARGET))
        paired.write(args.json, results)


if __name__ == "__main__":
    paired.run(main)
