"""Does the page lose requests, and does its memory stay flat? 200 in a row, then 20 at once.

    python benchmarks/robustness/serve_load.py --weights photos

Starts `bitdiff serve`, sends it images of its own with gradio's client, and looks at how much
memory the server holds. Each answer must be of the image that was sent. Needs
`pip install '.[serve]'`; the memory is read from /proc.
"""

import argparse
import concurrent.futures
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import gradio_client
import numpy as np
from PIL import Image

_EVERY = 25  # requests between two lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="photos")
    parser.add_argument("--in_a_row", type=int, default=200)
    parser.add_argument("--at_once", type=int, default=20)
    parser.add_argument("--num_samples", type=int, default=4)
    args = parser.parse_args()
    command = [sys.executable, "-m", "bitdiff_jax", "serve", "--weights", args.weights, "--port=0"]
    server = subprocess.Popen([*command, "--keep_minutes=1"], stdout=subprocess.PIPE, text=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            measure(args, server, pathlib.Path(folder))
    finally:
        server.terminate()
        server.wait()


def measure(args: argparse.Namespace, server: subprocess.Popen, folder: pathlib.Path) -> None:
    url = address(server)
    client = gradio_client.Client(url, verbose=False, analytics_enabled=False)
    images = [write(folder / f"image{k}.png", k) for k in range(args.in_a_row + args.at_once)]

    def ask(image: pathlib.Path, client: gradio_client.Client) -> bool:
        told = client.predict(
            gradio_client.handle_file(str(image)), args.num_samples, 0, "", "", api_name="/segment"
        )
        return f"{image.stem}: " in str(told[0])

    answered = 0
    start = time.monotonic()
    for number, image in enumerate(images[: args.in_a_row]):
        answered += ask(image, client)
        if number % _EVERY == 0 or number + 1 == args.in_a_row:
            print(f"{number + 1} in a row: {resident(server.pid):.0f} MiB", flush=True)
    took = time.monotonic() - start
    print(f"{answered} of {args.in_a_row} answered, {took / args.in_a_row:.2f} s each", flush=True)

    clients = [
        gradio_client.Client(url, verbose=False, analytics_enabled=False)
        for _ in range(args.at_once)
    ]
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(args.at_once) as pool:
        answered = sum(pool.map(ask, images[args.in_a_row :], clients))
    took = time.monotonic() - start
    print(
        f"{answered} of {args.at_once} at once answered in {took:.1f} s, "
        f"{resident(server.pid):.0f} MiB"
    )


def address(server: subprocess.Popen) -> str:
    for line in server.stdout:
        if found := re.search(r"http://\S+:\d+", line):
            return found[0]
    raise SystemExit("the server did not start")


def write(path: pathlib.Path, seed: int) -> pathlib.Path:
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 255, (3, 4, 3), np.uint8).repeat(100, axis=0).repeat(100, axis=1)
    Image.fromarray(blocks).save(path)
    return path


def resident(pid: int) -> float:
    """The memory that a process holds, in MiB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


if __name__ == "__main__":
    main()
