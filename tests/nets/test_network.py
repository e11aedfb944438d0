"""How the network that a config names is made."""

import jax.numpy as jnp
import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax.errors import InputError
from bitdiff_jax.nets import FusedUNet, UNet, network
from tests.own_network import ThreeConvs

OWN = "tests.own_network:ThreeConvs"


def make(**changes):
    settings = config_lib.default().model.net
    with settings.unlocked(), settings.ignore_type():
        settings.update(changes)
    return network.from_settings(settings, out_channels=6, final_activation="tanh")


def test_a_name_makes_that_implementation():
    assert type(make(implementation="plain")) is UNet
    assert type(make(implementation="fused")) is FusedUNet
    assert type(make(implementation="auto")) is network.IMPLEMENTATIONS[network.AUTO]
    assert make(implementation="plain") == UNet(dtype=jnp.dtype("float32"))
    assert hash(make(channel_multipliers=[1, 2])) == hash(make(channel_multipliers=(1, 2)))


def test_a_reference_makes_ones_own_with_its_options():
    made = make(implementation=OWN, dtype="bfloat16", options={"width": 4, "kernel_size": [1, 1]})
    assert made == ThreeConvs(6, "tanh", jnp.dtype("bfloat16"), width=4, kernel_size=(1, 1))
    assert hash(made)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"implementation": "fast"}, "implementation is 'fast'; use one of auto, plain, fused, or"),
        ({"implementation": "tests.no_such:Net"}, "there is no module 'tests.no_such'"),
        ({"implementation": "tests.own_network:Net"}, "tests.own_network has no Net"),
        ({"implementation": "tests.own_network:NOT_A_CLASS"}, "is not a class or function"),
        ({"implementation": "builtins:dict"}, "makes a dict without `init`"),
        (
            {"implementation": OWN, "options": {"widht": 4}},
            "cannot be made with .*unexpected keyword argument 'widht'; the keys of .*options",
        ),
        ({"implementation": OWN, "options": {"dtype": "float32"}}, "'dtype', which every network"),
        ({"implementation": OWN, "remat": True}, "remat is True, which does not reach tests"),
        ({"implementation": OWN, "fold": True}, "fold is True, which .* does not have; set"),
        ({"implementation": "plain", "fold": True}, "net.fold is True, which .*'plain' does not"),
        (
            {"implementation": "plain", "attention_chunk": 8},
            "attention_chunk is 8.*implementation=fused, or config.model.net.attention_chunk=0",
        ),
        ({"implementation": "fused", "options": {"width": 3}}, "options has 'width', but options"),
        ({"implementation": "plain", "num_heads": 3}, "^config.model.net.num_heads is 3"),
        ({"channel_multipliers": (1, 1.5)}, "^config.model.net.channel_multipliers is"),
        ({"dtype": "bf16"}, "dtype is 'bf16'; use float32, bfloat16"),
        ({"dtype": "int32"}, "dtype is 'int32'"),
    ],
)
def test_one_line_names_the_key_and_the_remedy(changes, says):
    with pytest.raises(InputError, match=says) as caught:
        make(**changes)
    assert str(caught.value).startswith("config.model.net.")
    assert "\n" not in str(caught.value)


def test_what_changes_nothing_may_be_set():
    assert type(make(implementation="plain", fold=False, attention_chunk=0)) is UNet
