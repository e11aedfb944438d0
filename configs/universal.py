"""Photographs, streets, leaves, nuclei and cells with one network: that of `photos`.

    bitdiff train --config universal --init photos --workdir runs/universal \
        "--config.data.train=records:data/bsds,split=train,weight=3;\
    records:data/sprs,split=train,weight=2;records:data/camvid,split=train,weight=2;\
    records:data/cvppp,split=train,weight=1.5;records:data/dsb2018,split=train,weight=2;\
    records:data/isbi2012,split=train,weight=1.5" \
        --config.eval.data=records:data/bsds,split=val

Each set has a weight of its own, whatever the number of its images, or nuclei and the frames of
videos would drown the photographs. The published weights had four such mixtures, one after the
other (bitdiff_jax/weights/universal.md). Prepare each with `--encoder mobile_sam` and say for each
what id 0 means: `--zero ignore` where it is not annotated or a membrane between cells, `--zero
background` where all that is no object is one region (docs/data.md).
"""

import ml_collections

from bitdiff_jax import config as config_lib


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = config_lib.load(f"photos:{variant}")
    if not variant:  # from `photos`, which has learned what a region is
        config.optimizer.warmup_steps = 50
        config.train.num_steps = 3_000
        config.optimizer.decay_steps = 1_500
    return config
