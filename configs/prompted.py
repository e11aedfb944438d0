"""`photos` that does what it is told: a number of regions, points and boxes, parts of a map.

    bitdiff train --config prompted --init photos --workdir runs/prompted \
        --config.data.train=records:data/bsds,split=train \
        --config.eval.data=records:data/bsds,split=val

The records are those of `photos`, whose network this is, with channels for prompts beside those of
the image. Their weights are 0 at first, so that the training begins as the function that it starts
from; docs/prompts.md says what prompts are.
"""

import ml_collections

from bitdiff_jax import config as config_lib


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = config_lib.load(f"photos:{variant}")
    # Each alone, all together and none of them: what guidance by a prompt compares.
    config.model.prompts.granularity = 0.5
    config.model.prompts.region = 0.5
    config.model.prompts.codes = 0.3
    if not variant:
        config.optimizer.warmup_steps = 50
        config.train.num_steps = 2_000
        config.optimizer.decay_steps = 1_000
    return config
