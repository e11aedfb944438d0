"""The recipe of arXiv 2601.02881 as its code was released, slips included.

    bitdiff train --config paper --workdir runs/paper \
        --config.data.train=folder:ENTITYSEG,split=train,zero=region \
        --config.eval.data=folder:ENTITYSEG,split=val,zero=region

300,000 steps of 8 images at 128 x 128, 38,496,262 parameters, about 202 GFLOP an image and step;
the paper reports ARI .670 and IoU .432 on its test set. We have not trained it to the end.

Not as released, and why: bfloat16 or float32 instead of float16 with loss scaling; JAX's random
numbers instead of torch's; regions of equal area in the order of their first pixels, where the
released order is undefined; the rounding of OpenCV's colour augmentation; images drawn without
replacement by epoch instead of with it.
"""

import ml_collections

from bitdiff_jax import config as config_lib


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = config_lib.default()
    # The network is the default.
    config.model.time_input = "t"
    config.model.palette.order = "id"
    config.model.palette.frame = "square"
    config.model.palette.excess = "merge"
    config.model.objective.padding = "as_released"
    config.model.objective.ignored = "as_released"

    config.optimizer.ema_warmup = False

    config.data.augment = "as_released"
    config.data.keep_scale = 0
    config.data.label_resize = "nearest"
    config.data.label_padding = 0

    config.sampling.weights = "raw"
    config.sampling.eps_after_clip = False
    return config_lib.shrink(config, variant)
