"""What each of the two processes of test_agreement.py runs."""

import json
import os
import signal
import sys
import time

import jax
import numpy as np

from bitdiff_jax.checkpoint import Checkpoints, Damaged, restore_last_good, store
from bitdiff_jax.errors import InputError, Interrupted
from bitdiff_jax.parallel import vote
from bitdiff_jax.training import loop
from tests.training import fakes


def main(index: int, port: str, workdir: str) -> None:
    jax.distributed.initialize(f"127.0.0.1:{port}", 2, index)
    told: dict = {"worst": vote.worst(index), "first": vote.from_first([7, 8][index:])}
    c = fakes.config(keep_checkpoints=9)

    def at_step(step):
        if step == 4 and index == 1:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.5)  # it is heard in another thread

    loop.prepare = lambda _, **__: fakes.setup(c, at_step=at_step)
    try:
        loop.train(c, workdir)
    except Interrupted as stop:
        told["stopped"] = stop.step, str(stop)

    setup = fakes.setup(c)
    read = store.Checkpoints.read

    def damaged_to_one(self, step, abstract):
        if step == told["stopped"][0] and index == 1:
            raise Damaged("bad sector")
        return read(self, step, abstract)

    def refuse(about):
        if index == 0:
            raise InputError("not mine")

    with Checkpoints(workdir, keep=9) as checkpoints:
        try:
            restore_last_good(checkpoints, setup.abstract_state, check=refuse)
        except InputError as error:
            told["refused"] = str(error)
        store.Checkpoints.read = damaged_to_one
        told["good"] = restore_last_good(checkpoints, setup.abstract_state)[0]
        store.Checkpoints.read = read

    loop.prepare = lambda _, **__: setup
    state = loop.train(c, workdir)
    told["w"] = np.asarray(state.params["w"]).tolist()
    print("TOLD", json.dumps(told), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
