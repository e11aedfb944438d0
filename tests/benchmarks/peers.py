"""Peers of the harness for its tests."""

import time

from benchmarks.against_peers.worker import Ready


def sleeper(seconds: float) -> Ready:
    return Ready(lambda: time.sleep(seconds), f"sleeps {seconds} s")


def noisy() -> Ready:
    def run() -> None:
        print("what a library may print")

    return Ready(run)


def broken() -> Ready:
    raise ValueError("seconds is missing; give one")


def eater(megabytes: int) -> Ready:
    def run() -> None:
        bytearray(megabytes << 20)

    return Ready(run)
