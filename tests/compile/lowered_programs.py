"""Lowers both programs of a config with an encoder for all devices of this process.

`python -m tests.compile.lowered_programs` prints a line of JSON: for each program, the number
of its partitions and the types of its arguments.
"""

import json
import re

import jax
import ml_collections

from bitdiff_jax import config as config_lib
from bitdiff_jax.compile import lowering


def main() -> None:
    config = config_lib.load("entities:smoke")
    config.model.encoder.image_size = 64
    # As the compiling process is handed it.
    config = ml_collections.ConfigDict(json.loads(config.to_json_best_effort()))
    found = {}
    for program in lowering.PROGRAMS:
        text = lowering.lower(program, config, jax.devices(), 16).as_text()
        (arguments,) = re.findall(r"func\.func public @main\((.*)\) -> \(", text)
        found[program] = {
            "partitions": int(re.findall(r"num_partitions = (\d+)", text)[0]),
            "inputs": re.findall(r"tensor<([^>]*)>", arguments),
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
