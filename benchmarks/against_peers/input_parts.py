"""Input pipeline: training pictures a second on one core, and where the time goes.

    python -m benchmarks.against_peers.input_parts --data folder:DIR,split=train,zero=region
    python -m benchmarks.against_peers.input_parts --data coco_panoptic:DIR,split=val --records DIR
    python -m benchmarks.against_peers.input_parts  # on procedural scenes, written to a folder

Three ways to read one set, all with the augmentations of training, to batches at --size:

    prepared    records of `bitdiff prepare --size SIZE`, in --records or made here, nothing kept
    originals   the set as it is, nothing kept: every picture decoded anew from its own file
    resident    the set as training reads it: shrunk to twice --size, all of it in memory by now

Rates are by CPU time of one process without threads or workers, the best of --rounds, so that they
are those of an idle core as far as the machine allows; the rate by wall clock and the machine's
load are beside them. In the table below, a part is the time inside these functions, less what is
inside another part; taking it slows the whole, so parts are scaled to the rate that was measured
without. A set with K people's maps of a picture decodes all K for the one that is drawn.
"""

import argparse
import collections
import contextlib
import functools
import os
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from absl import flags
from PIL import Image

from bitdiff_jax.data import augment, images, pipeline, specs, transforms
from bitdiff_jax.data.records import schema, writer
from bitdiff_jax.data.records.record_source import RecordSource
from bitdiff_jax.data.resident import Resident
from bitdiff_jax.scenes import SceneSource

BATCH = 50
# Part -> the functions that are timed for it: (module, name).
_PARTS: dict[str, list[tuple[Any, str]]] = {
    "read and decode picture": [(images, "read_image")],
    "read and decode labels": [(images, "read_labels")],
    "read record": [(RecordSource, "record")],
    "decode record": [(schema, "decode")],
    "decode labels of record": [(schema, "decode_ids")],
    "shrink, keep, copy": [(Resident, "__getitem__")],
    "resize picture": [(transforms, "resize_image")],
    "resize labels": [(transforms, "resize_labels")],
    "slivers": [(augment, "drop_slivers")],
    "flip": [(augment, "flip")],
    "rotate": [(augment, "rotate")],
    "recolour": [(augment, "recolour")],
    "other augmentation": [(augment.Augmentation, "__call__")],
    "renumber": [(transforms, "compact")],
    "pad": [(transforms, "pad_to_square")],
}


def batches(source: pipeline.Source, size: int) -> Iterator[pipeline.Example]:
    """Training batches, made when they are asked for."""
    return iter(
        pipeline.train_dataset(
            {"data": source},
            {"data": 1.0},
            size=size,
            batch_size=BATCH,
            seed=0,
            augment=augment.Augmentation(),
            num_threads=0,
        )
    )


def seconds_per_image(source: pipeline.Source, size: int, count: int) -> tuple[float, float]:
    """CPU and wall-clock time of one picture, after a first batch that does not count."""
    stream = batches(source, size)
    next(stream)
    number = max(1, count // BATCH)
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(number):
        next(stream)
    pictures = number * BATCH
    return (time.process_time() - cpu) / pictures, (time.perf_counter() - wall) / pictures


@contextlib.contextmanager
def timed(parts: dict[str, float]) -> Iterator[None]:
    """Adds to `parts` the CPU time inside the functions of each part, less that of parts inside."""
    inside: list[float] = []

    def wrap(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            inside.append(0.0)
            start = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.thread_time() - start
                parts[part] += spent - inside.pop()
                if inside:
                    inside[-1] += spent

        return call

    originals = []
    try:
        for part, functions in _PARTS.items():
            for owner, name in functions:
                function = getattr(owner, name)
                originals.append((owner, name, function))
                setattr(owner, name, wrap(part, function))
        yield
    finally:
        for owner, name, function in originals:
            setattr(owner, name, function)


def breakdown(source: pipeline.Source, size: int, count: int, total: float) -> dict[str, float]:
    """Seconds of one picture by part; together they are `total`."""
    parts: dict[str, float] = collections.defaultdict(float)
    stream = batches(source, size)
    next(stream)
    number = max(1, count // BATCH)
    with timed(parts):
        start = time.process_time()
        for _ in range(number):
            next(stream)
        whole = time.process_time() - start
    shares = {part: parts[part] / whole for part in _PARTS if part in parts}
    shares["grain, batches, the rest"] = 1 - sum(shares.values())
    return {part: share * total for part, share in shares.items()}


def scenes_as_a_folder(root: pathlib.Path, count: int) -> str:
    """Writes scenes of 500 x 375 as JPEG and PNG; a spec for them."""
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    source = SceneSource(level=2, size=500)
    for item in (source[i] for i in range(count)):
        image, labels = item["image"][:375], item["labels"][0][:375]
        Image.fromarray(image).save(root / "images" / f"{item['name']}.jpg", quality=92)
        images.write_labels(root / "labels" / f"{item['name']}.png", labels + 1)
    return f"folder:{root},zero=region"


def prepare(spec: str, out: pathlib.Path, size: int) -> None:
    """Prepares the set of a spec at `size`."""
    head, *pairs = spec.split(",")
    kind, _, root = head.partition(":")
    options = dict(pair.split("=", 1) for pair in pairs)
    split = options.pop("split", None)
    data = writer.Files(kind, root, options)
    print(writer.prepare(data, out, splits=[split] if split else None, size=size, workers=1))


def load() -> str:
    """The machine: cores, and the load of the last minute."""
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


def main() -> None:
    """Reads the flags, prints rates and parts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--data", help="a reader's spec, as of `train`; none: procedural scenes")
    add("--records", type=pathlib.Path, help="a prepared folder; none: prepared here")
    add("--size", type=int, default=128, help="side of the network")
    add("--num_images", type=int, default=400, help="pictures a round")
    add("--rounds", type=int, default=5, help="rounds, of which the best counts")
    args = parser.parse_args()
    flags.FLAGS(["input"])  # grain reads absl flags

    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        spec = args.data or scenes_as_a_folder(scratch / "scenes", 60)
        records = args.records or scratch / "records"
        if args.records is None:
            prepare(spec, records, args.size)
        originals = specs.open_source(spec, image_size=args.size)
        resident = Resident(originals, 2 * args.size)
        for index in range(len(resident)):
            resident[index]
        ways = {
            "prepared": RecordSource(records),
            "originals": originals,
            "resident": resident,
        }
        print(f"{args.data or 'scenes'}: {len(originals)} pictures, to {args.size} px; {load()}")
        for name, source in ways.items():
            rounds = [
                seconds_per_image(source, args.size, args.num_images) for _ in range(args.rounds)
            ]
            cpu, wall = (min(times) for times in zip(*rounds, strict=True))
            print(
                f"\n{name}: {1 / cpu:.0f} images/s/core  ({1e3 * cpu:.2f} ms of CPU; by wall clock "
                f"{1 / wall:.0f}/s; {load()})"
            )
            for part, spent in breakdown(source, args.size, args.num_images, cpu).items():
                print(f"  {part:26}{1e3 * spent:7.3f} ms {spent / cpu:6.1%}")


if __name__ == "__main__":
    main()
