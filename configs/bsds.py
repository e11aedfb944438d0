"""Real photos on a CPU: the Berkeley Segmentation Data Set at 64 x 64.

    bitdiff train --config bsds --workdir runs/bsds \
        --config.data.train=folder:BSDS,split=train,zero=region \
        --config.eval.data=folder:BSDS,split=val,zero=region

where BSDS holds images/, labels/ID_k.png of every annotator k, and splits.json. 12,000 steps of 16
images take an hour and a half on two idle CPU cores (35 images a second), after which the 100
images of val give ARI .393 and IoU .212, at 128 pixels and averaged over annotators.

The settings are those of `small`, which is for other images; under this name they keep the results
above. `--config.model.net.attention_levels=()` leaves attention in the middle alone and trains
nearly twice as fast; its first 600 steps go like those with it, and it has not been trained to the
end.
"""

import ml_collections

from bitdiff_jax import config as config_lib


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = config_lib.load("small")
    return config_lib.shrink(config, variant)
