"""Our recipe for real pictures at 128 x 128: the paper's network, with its slips mended.

    bitdiff train --config base --workdir runs/base \
        --config.data.train=folder:/data/mine,split=train,zero=ignore \
        --config.eval.data=folder:/data/mine,split=val,zero=ignore

The paper's budget of 300,000 steps of 8 pictures is 0.5 EFLOP for this network; it has not been
trained to the end by us, so no figure is promised. What differs from `paper` and why is written
beside each key of bitdiff_jax/config.py and in Objective and Palette.

`:smoke` shrinks everything to a few steps of a tiny network, to see that a machine is set up.
"""

import ml_collections

from bitdiff_jax import config as config_lib


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = config_lib.default()
    config.data.trained_on = "the pictures of --config.data.train"
    return config_lib.shrink(config, variant)
