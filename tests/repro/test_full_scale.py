import shlex

import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax import flops, model_config
from bitdiff_jax.cli import main as cli
from bitdiff_jax.cli.train import override
from bitdiff_jax.repro import full_scale
from bitdiff_jax.repro.catalogue import CLAIMS


@pytest.mark.slow
@pytest.mark.parametrize("claim", CLAIMS.values(), ids=lambda claim: claim.name)
def test_every_command_makes_a_config(claim):
    for command in full_scale.commands(claim):
        _, _, _, config, _, _, *overrides = shlex.split(command)
        made = override(config_lib.load(config), overrides)
        assert made.data.train.startswith("entityseg:")
        model_config.from_config(made)


def test_cost_is_flops_over_what_the_chips_do():
    config = config_lib.load("base")
    step = flops.train_step_flops(model_config.from_config(config), 8)
    hours = 300_000 * step / (8 * 197e12 * full_scale.UTILISATION) / 3600
    assert f"{hours:.1f} h on 8 x TPU v5e" in full_scale.cost("base", {})
    assert "H100" in full_scale.cost("base", {})


def test_the_command_prints_and_runs_nothing(capsys):
    assert cli.main(["repro", "time_input", "--scale=full"]) == 0
    out = capsys.readouterr().out
    assert full_scale.ASSUMPTION in out and out.count("bitdiff train --config base") == 2
    assert "--config.model.time_input=t" in out and out.count("EFLOP") == 2
