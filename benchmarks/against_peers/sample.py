"""A guided sample of 8 steps, 16 forward passes, ours against PyTorch's, in float32.

    python -m benchmarks.against_peers.sample  # the paper's network, batches 1, 4

Ours is the program of a `Segmenter`, from uint8 pictures to codes on the host. PyTorch's runs the
same steps on the same network in inference mode, with what is faster here: both halves of the
guidance as one batch or one after the other, either layout in memory, either form of attention.
"""

import argparse

from benchmarks.against_peers import against_torch, paired

TARGET = 0.8  # times PyTorch's


def main() -> None:
    """Reads the flags, measures, writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--config", default="paper", help="whose network (paper)")
    add("--batch_size", type=int, nargs="+", default=[1, 4], help="pictures at once (1 4)")
    add("--num_steps", type=int, default=8, help="steps (8)")
    against_torch.add_options(parser)
    args = parser.parse_args()
    title = f"guided sample, {args.config}, {args.num_steps} steps"
    against_torch.compare("build_sampler", title, args, TARGET, num_steps=args.num_steps)


if __name__ == "__main__":
    paired.run(main)
