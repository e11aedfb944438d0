import types

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AbstractMesh, AxisType

from bitdiff_jax import config as config_lib
from bitdiff_jax.cli.train import override
from bitdiff_jax.errors import InputError
from bitdiff_jax.parallel import partition_rules
from bitdiff_jax.parallel.partition_rules import SplitLargest, rules_from_config, shardings

P = jax.P


def mesh_of(data, fsdp):
    return AbstractMesh((data, fsdp), ("data", "fsdp"), axis_types=(AxisType.Auto,) * 2)


def leaf(*shape, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(shape, dtype)


def specs(tree, rules, mesh):
    return jax.tree.map(lambda s: s.spec, shardings(tree, rules, mesh))


@pytest.mark.parametrize(
    ("shape", "spec"),
    [
        ((3, 3, 64, 128), P(None, None, None, "fsdp")),
        ((3, 3, 128, 64), P(None, None, "fsdp")),
        ((3, 3, 64, 64), P(None, None, None, "fsdp")),  # the last among equals
        ((3, 3, 64, 6), P(None, None, "fsdp")),
        ((512,), P("fsdp")),
        ((510, 4), P(None, "fsdp")),  # 510 is larger, but no multiple
        ((3, 5), P()),
        ((), P()),
        ((0, 4), P(None, "fsdp")),
    ],
)
def test_the_largest_dimension_that_divides_is_split(shape, spec):
    assert SplitLargest("fsdp").spec(leaf(*shape), mesh_of(2, 4)) == spec


def test_small_tensors_and_single_devices_stay_whole():
    rule = SplitLargest("fsdp", 65_536)
    assert rule.spec(leaf(128, 128), mesh_of(2, 4)) == P(None, "fsdp")
    assert rule.spec(leaf(128, 127), mesh_of(2, 4)) == P()
    assert rule.spec(leaf(128, 128, dtype=jnp.bfloat16), mesh_of(2, 4)) == P()
    assert rule.spec(leaf(128, 128), mesh_of(8, 1)) == P()


def config_of(*overrides):
    return override(config_lib.load("base"), [f"--config.mesh.{o}" for o in overrides]).mesh


def test_the_first_rule_that_matches_the_whole_path_counts():
    rules = rules_from_config(
        config_of(
            "rules=('.*kernel -,-,-,fsdp','.*qkv.* replicate','.*  fsdp')",
            "fsdp_min_bytes=0",
        )
    )
    tree = {
        "params": {"conv": {"kernel": leaf(3, 3, 8, 4), "bias": leaf(4)}, "qkv": leaf(64, 64)},
        "opt_state": ({"conv": {"kernel": leaf(3, 3, 8, 4)}}, leaf()),
    }
    found = specs(tree, rules, mesh_of(1, 2))
    split = P(None, None, None, "fsdp")
    assert found["params"] == {"conv": {"kernel": split, "bias": P("fsdp")}, "qkv": P()}
    assert found["opt_state"] == ({"conv": {"kernel": split}}, P())


def test_the_default_is_fsdp_for_all_that_is_not_small():
    rules = rules_from_config(config_of())
    assert rules == ((".*", SplitLargest("fsdp", 65_536)),)
    both = types.SimpleNamespace(rules=(".* data+fsdp,-",), fsdp_min_bytes=0)
    assert rules_from_config(both) == ((".*", P(("data", "fsdp"), None)),)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (("[ fsdp", ".* fsdp"), "'\\[' is no regular expression"),
        ((".* tensor",), "'tensor' is neither 'replicate' nor 'fsdp' nor axes"),
        ((".* fsdp,fsdp",), "each at most once"),
        (("params.* fsdp",), "end them with"),
        ((), "end them with"),
        (("fsdp",), "'fsdp' is not 'PATTERN WHERE'"),
    ],
)
def test_rules_that_mean_nothing_are_refused(rules, message):
    with pytest.raises(
        InputError, match=f"config.mesh.rules: .*{message}|^config.mesh.rules: {message}"
    ):
        rules_from_config(types.SimpleNamespace(rules=rules, fsdp_min_bytes=0))


def test_a_spec_that_does_not_divide_names_the_tensor():
    rules = rules_from_config(config_of("rules=('.* -,fsdp',)"))
    with pytest.raises(InputError, match=r"cannot split params/w of shape \(8, 6\): 6 is not a"):
        shardings({"params": {"w": leaf(8, 6)}}, rules, mesh_of(1, 4))
    assert specs({"b": leaf(6)}, rules, mesh_of(1, 4)) == {"b": P()}  # more axes than it has


def test_bytes_per_device():
    tree = {"w": leaf(64, 32), "half": leaf(64, dtype=jnp.bfloat16), "n": leaf(dtype=jnp.int32)}
    rules = ((".*", SplitLargest("fsdp")),)
    found = partition_rules.bytes_per_device(tree, shardings(tree, rules, mesh_of(2, 8)))
    assert found == (64 * 32 * 4 + 64 * 2) // 8 + 4
