"""Input pipeline: training pictures to batches, ours against a PyTorch DataLoader.

    python -m benchmarks.against_peers.input  # on procedural scenes, written to a folder
    python -m benchmarks.against_peers.input --data folder:DIR,split=train,zero=region

All in one process without workers or threads, to batches of 128 pixels with the augmentations of
training, from the same files:

    ours, prepared  records of `bitdiff prepare`
    PyTorch         a Dataset of Pillow and numpy in a DataLoader; see `plain_dataset`
    ours, originals every picture decoded anew from its own file, as PyTorch's
    ours, resident  as training reads a folder: shrunk to twice the size and kept in memory

`python -m benchmarks.against_peers.input_parts` tells where the time of ours goes.
"""

import argparse
import pathlib
import tempfile

from absl import flags

from benchmarks.against_peers import paired
from benchmarks.against_peers.input_parts import BATCH, batches, prepare, scenes_as_a_folder
from benchmarks.against_peers.worker import Ready
from bitdiff_jax.data import pipeline, specs
from bitdiff_jax.data.records.record_source import RecordSource
from bitdiff_jax.data.resident import Resident
from bitdiff_jax.errors import InputError

WAYS = ("prepared", "originals", "resident")


def build_ours(way: str, spec: str, records: str, size: int) -> Ready:
    """The next batch of `pipeline.train_dataset`."""
    flags.FLAGS(["input"])  # grain reads absl flags
    source: pipeline.Source = RecordSource(records)
    if way != "prepared":
        source = specs.open_source(spec, image_size=size)
    if way == "resident":
        source = Resident(source, 2 * size)
        for index in range(len(source)):
            source[index]
    stream = batches(source, size)
    return Ready(lambda: next(stream), f"{len(source)} pictures")


def build_torch(spec: str, size: int) -> Ready:
    """The next batch of a DataLoader."""
    import itertools

    import torch

    from benchmarks.against_peers import plain_dataset

    folder = spec.partition(",")[0].removeprefix("folder:")
    dataset = plain_dataset.Folder(pathlib.Path(folder), size)
    if not len(dataset):
        raise InputError(f"--data={spec}: PyTorch's peer reads folders alone, give folder:DIR")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    sampler = torch.utils.data.RandomSampler(dataset, num_samples=10**6, replacement=True)
    loader = torch.utils.data.DataLoader(dataset, batch_size=BATCH, sampler=sampler)
    stream = itertools.chain.from_iterable(itertools.repeat(loader))
    return Ready(lambda: next(stream), f"{len(dataset)} pictures")


def main() -> None:
    """Reads the flags, measures, writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--data", help="a folder's spec, as of `train`; none: procedural scenes")
    add("--records", help="a prepared folder; none: prepared here")
    add("--size", type=int, default=128, help="side of the network (128)")
    paired.add_options(parser, rounds=7)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        spec = args.data or scenes_as_a_folder(scratch / "scenes", 60)
        records = args.records or str(scratch / "records")
        if args.records is None:
            prepare(spec, pathlib.Path(records), args.size)
        shared = {"spec": spec, "size": args.size}
        ours = [
            paired.Peer(
                f"ours, {way}",
                "benchmarks.against_peers.input:build_ours",
                shared | {"way": way, "records": records},
            )
            for way in WAYS
        ]
        torch = paired.Peer("PyTorch", "benchmarks.against_peers.input:build_torch", shared)
        peers = [ours[0], torch, *ours[1:]]
        title = f"training input, {args.data or 'scenes'}, {args.size} px, one process"
        result = paired.compare(title, peers, args, scale=1e3 / BATCH, unit="ms a picture")
        for peer in result["peers"]:
            print(f"{peer['name']:16}{1e3 / peer['median']:8.0f} pictures a second")
    paired.write(args.json, [result])


if __name__ == "__main__":
    paired.run(main)
