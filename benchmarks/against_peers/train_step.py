"""A training step, ours against PyTorch's, in float32.

    python -m benchmarks.against_peers.train_step  # the paper's network, batches 2, 8
    python -m benchmarks.against_peers.train_step --config bsds --batch_size 16

Ours is the step of `bitdiff train`, from uint8 pictures and label maps: it draws times, noise and
image dropout, gives regions their codes, runs the network forward and backward, clips, takes an
AdamW step and moves the average. PyTorch's does all of it on the same network (see torch_twin),
except that x0 is made beforehand: it has no palette to work out. Its layout in memory and its form
of attention are whichever is faster here.
"""

import argparse

from benchmarks.against_peers import against_torch, paired

TARGET = 1.3  # times PyTorch's


def main() -> None:
    """Reads the flags, measures, writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--config", default="paper", help="whose network and step (paper)")
    add("--batch_size", type=int, nargs="+", default=[2, 8], help="pictures a step (2 8)")
    against_torch.add_options(parser)
    args = parser.parse_args()
    title = f"training step, {args.config}"
    against_torch.compare("build_train_step", title, args, TARGET)


if __name__ == "__main__":
    paired.run(main)
