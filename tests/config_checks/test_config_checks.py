import math

import numpy as np
import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax import config_checks
from bitdiff_jax.config_checks.domains import Choice, Several, Whole
from bitdiff_jax.config_checks.table import CHECKS
from bitdiff_jax.errors import InputError
from bitdiff_jax.training import setup


def changed(key, value, name="base"):
    config = config_lib.load(name)
    with config.ignore_type(), config.unlocked():
        config.update_from_flattened_dict({key: value})
    return config


def test_every_setting_has_a_check():
    assert set(config_checks.settings(config_lib.default())) <= set(CHECKS)


@pytest.mark.parametrize("variant", ["", ":smoke"])
@pytest.mark.parametrize("name", config_lib.names())
def test_our_configs_pass(name, variant):
    config_checks.check(config_lib.load(name + variant))


@pytest.mark.parametrize("key", sorted(config_checks.settings(config_lib.default())))
def test_no_setting_takes_a_value_of_another_kind(key):
    with pytest.raises(InputError) as error:
        config_checks.check(changed(key, {"a": object()}))
    assert f"config.{key}" in str(error.value) and "\n" not in str(error.value)


FULL = "it must be one of"
BAD = [
    ("seed", -1, "use a whole number from 0 to 4,294,967,295"),
    ("seed", 2**32, "use a whole number from 0"),
    ("seed", True, "use a whole number"),
    ("model.image_size", 0, "use a whole number of 1 or more"),
    ("model.image_size", 100, "is not a multiple of 16, which config.model.net.patch_size=2 and 4"),
    ("model.encoding", "bit", "or your own as package.module:name"),
    ("model.num_bits", 0, "use a whole number from 1 to 30"),
    ("model.prediction", "noise", FULL),
    ("model.net.implementation", "fast", "auto, plain, fused, or your own as package.module:name"),
    ("model.net.base_channels", 65, "give an even number"),
    ("model.net.channel_multipliers", (1.5, 2), "use a whole number of 1 or more for each entry"),
    ("model.net.channel_multipliers", (), "use a tuple of 1 or more"),
    ("model.net.channel_multipliers", 2, "use a tuple"),
    ("model.net.attention_levels", (4,), "the 4 levels of channel_multipliers"),
    ("model.net.attention_levels", (-5,), "are -4 to 3"),
    ("model.net.num_heads", 3, "give a divisor of the 256 channels of level 2"),
    ("model.net.dtype", "bf16", "float32, bfloat16, float16"),
    ("model.net.dtype", "float17", "float32, bfloat16, float16"),
    ("model.net.time_max_period", 0.0, "use a finite number above 0"),
    ("model.net.remat", 1, "use true or false"),
    ("model.schedule.name", "cosin", FULL),
    ("model.schedule.input_scale", math.nan, "use a finite number above 0"),
    ("model.schedule.logsnr_min", 30.0, "is not below config.model.schedule.logsnr_max=20.0"),
    ("model.schedule.logsnr_max", 99.0, "of -80 or more, at most 36"),
    ("model.palette.layout", "none at all", FULL),
    ("model.palette.max_regions", 0, "use a whole number from 1"),
    ("model.objective.weight", "sigmoidal", "or your own as package.module:name"),
    ("model.objective.bias", math.inf, "use a finite number"),
    ("model.objective.image_keep", 1.1, "use a number of 0 or more, at most 1"),
    ("optimizer.learning_rate", -1.0, "use a finite number above 0"),
    ("optimizer.learning_rate", math.nan, "use a finite number above 0"),
    ("optimizer.learning_rate", math.inf, "use a finite number above 0"),
    ("optimizer.b1", 1.0, "use a number of 0 or more, below 1"),
    ("optimizer.ema_decay", 2.0, "use a number of 0 or more, below 1"),
    ("optimizer.clip_norm", 0.0, "use a number above 0"),
    ("optimizer.warmup_steps", 300_000, "--config.optimizer.warmup_steps=257142"),
    ("data.augment", "flip", "default, geometry, none, as_released"),
    ("data.label_padding", 1, "-1, 0"),
    ("data.num_workers", -1, "use a whole number from 0"),
    ("data.train", 3, "use a text"),
    ("train.num_steps", 0, "use a whole number of 1 or more"),
    ("train.batch_size", 0, "use a whole number of 1 or more"),
    ("train.accumulate", 3, "config.train.accumulate=3; use 6"),
    ("train.log_every", -1, "use a whole number of 0 or more"),
    ("train.eval_every", -5, "use a whole number of 0 or more"),
    ("train.checkpoint_every", -5, "use a whole number of 0 or more"),
    ("train.keep_checkpoints", 0, "use a whole number of 1 or more"),
    ("train.best_by", "foo", "eval/ari, eval/iou"),
    ("train.best_by", "eval/vi", "of which more is better"),
    ("train.on_nonfinite", "ignore", "stop, skip"),
    ("sampling.num_steps", 0, "use a whole number of 1 or more"),
    ("sampling.guidance_weight", math.nan, "use a finite number"),
    ("sampling.eta", -0.1, "use a number of 0 or more, at most 1"),
    ("sampling.temperature", -0.1, "use a finite number of 0 or more"),
    ("sampling.temperature", math.nan, "use a finite number of 0 or more"),
    ("sampling.temperature", math.inf, "use a finite number of 0 or more"),
    ("sampling.method", "euler", FULL),
    ("sampling.weights", "best", "ema, raw"),
    ("eval.batch_size", 0, "use a whole number of 1 or more"),
    ("eval.num_images", 0, "use a whole number of 1 or more"),
    ("eval.score_size", -1, "use a whole number of 0 or more"),
    ("telemetry.profile_steps", 0, "use a whole number of 1 or more"),
    ("telemetry.transfer_guard", "on", "allow, log, disallow"),
    ("mesh.data", 0, "use 1 or more, or -1 for what is left"),
    ("mesh.rules", ("(.* fsdp",), "is no regular expression"),
    ("mesh.rules", (".*/qkv/.* replicate",), "end them with"),
    ("mesh.rules", (), "('.*/qkv/.* replicate','.* fsdp')"),
    ("mesh.cpu_devices", 0, "use a whole number from 1"),
    ("hosts.cluster", "slurmm", FULL),
    ("hosts.process_id", -2, "use a whole number of -1 or more"),
]


@pytest.mark.parametrize(("key", "value", "message"), BAD)
def test_a_value_that_cannot_be_used(key, value, message):
    with pytest.raises(InputError) as error:
        setup.prepare(changed(key, value))
    told = str(error.value)
    assert message in told and f"config.{key}" in told and "\n" not in told, told


def test_dropout_of_features_needs_an_encoder():
    config = config_lib.load("base")
    config.model.objective.feature_dropout = 0.1
    with pytest.raises(InputError, match=r"feature_dropout=0\.1 has no features.*encoder\.name"):
        config_checks.check(config)


def test_two_values_that_exclude_each_other():
    config = changed("mesh.data", -1)
    config.mesh.fsdp = -1
    with pytest.raises(InputError, match="only one can take what is left"):
        config_checks.check(config)
    config = changed("model.palette.layout", "similar")
    config.model.encoding = "rgb"
    with pytest.raises(InputError, match="num_codes must be a power of 2"):
        config_checks.check(config)
    config = changed("model.net.fold", True)
    config.model.net.patch_size = 8
    config.model.net.channel_multipliers = (1,)
    config.model.net.attention_levels = ()
    config.model.image_size = 24
    with pytest.raises(InputError, match=r"config\.model\.net\.fold=True needs an even number"):
        config_checks.check(config)


@pytest.mark.parametrize(
    "key",
    ["model.encoding", "objective.loss", "objective.weight", "sampling.method"],
)
def test_parts_of_ones_own_pass(key):
    key = f"model.{key}" if key.startswith("objective") else key
    config_checks.check(changed(key, "package.module:name"))


def test_a_network_of_ones_own_keeps_its_own_bounds():
    config = config_lib.load("base")
    config.model.net.implementation = "package.module:Net"
    config.model.image_size = 100
    config_checks.check(config)


@pytest.mark.parametrize(
    ("key", "value"),
    [("train.log_every", 0), ("train.eval_every", 0), ("sampling.guidance_weight", None),
     ("sampling.temperature", 0.0), ("optimizer.clip_norm", math.inf), ("seed", 2**32 - 1),
     ("mesh.data", 8), ("model.net.attention_levels", []), ("train.num_steps", np.int64(300_000))],
)  # fmt: skip
def test_values_at_the_edge_pass(key, value):
    config_checks.check(changed(key, value))


def test_a_config_that_does_not_start_from_the_default():
    config = config_lib.load("base")
    config.unlock()
    del config.train["accumulate"]
    with pytest.raises(InputError, match=r"config\.train\.accumulate is missing"):
        config_checks.check(config)


def test_nothing_to_train_on():
    with pytest.raises(InputError, match=r"--config\.data\.train=folder:DIR"):
        setup.prepare(config_lib.load("small"))


def test_choices_are_what_the_code_knows():
    assert CHECKS["data.augment"].known == tuple(setup._AUGMENTS)
    names = {name.removeprefix("eval/") for name in CHECKS["train.best_by"].known}
    assert names <= set(config_lib.EVALUATION_METRICS)


def test_domains_tell_true_from_one():
    assert Choice((0, -1)).remedy(False) and Choice((0, -1)).remedy(0) is None
    assert Whole(0).remedy(True) and Several(Whole(0)).remedy((True,))
