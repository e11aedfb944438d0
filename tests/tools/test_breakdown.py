"""Where costs go: every operation in one part, the parts of a true step against its arithmetic."""

import json

import jax
import jax.numpy as jnp
import pytest

from bitdiff_jax import flops, model_config
from bitdiff_jax.compile import accelerators, lowering, text
from bitdiff_jax.tools.xla_cost import attribution
from bitdiff_jax.tools.xla_cost import breakdown as breakdown_lib
from bitdiff_jax.tools.xla_cost.breakdown import breakdown
from bitdiff_jax.tools.xla_cost.costs import costs
from tests.tools import stored
from tests.tools.test_costs import CHIP, CUDA, TPU


@pytest.fixture(scope="module", params=["v5e-1", "h100-1"])
def step(request):
    """(text of the training step, its chip)."""
    return stored.load(request.param), accelerators.find(request.param).chip


@pytest.fixture(scope="module")
def sampler():
    """The text of the sampler for this machine."""
    config = stored.tiny()
    config.model.net.dtype = "float32"
    devices = jax.devices()[:1]
    return lowering.lower("sample", config, devices, stored.BATCH).compile().as_text()


def group(found, key):
    return found.grouped(lambda part: getattr(part, key))


@pytest.mark.slow
def test_the_parts_of_a_step_sum_to_its_costs(step):
    check_sums(*step)


@pytest.mark.parametrize("program", [TPU, CUDA], ids=["TPU", "CUDA"])
def test_the_parts_sum_to_the_costs(program):
    check_sums(program, CHIP)


def check_sums(given, chip):
    found, total = breakdown(given, chip), costs(given, chip)
    for key in ("place", "phase", "kind"):
        parts = group(found, key).values()
        for name in ("operations", "cycles", "flops", "bytes", "hbm_bytes", "seconds"):
            summed = sum(getattr(part, name) for part in parts)
            assert summed == pytest.approx(getattr(total, name), rel=1e-12), (key, name)


@pytest.mark.slow
def test_arithmetic_of_a_step_by_kind(step):
    """Forward, by input and by weights are a third each, but for what has no gradient."""
    text, chip = step
    # A TPU's compiler multiplies with zeros too, to suit the matrix unit.
    exact = chip.clock is None
    found = breakdown(text, chip)
    forward = flops.forward_flops(model_config.from_config(stored.tiny())) * stored.BATCH
    kinds = {name: cost.flops for name, cost in group(found, "kind").items()}
    ahead, attention = kinds[attribution.FORWARD], kinds[attribution.ATTENTION]
    # Of attention's two products, each has two gradients.
    # Edges of an upsampled map count a little differently.
    assert ahead + attention / 3 == pytest.approx(forward, rel=0.01 if exact else 0.3)
    assert kinds[attribution.BY_WEIGHTS] == pytest.approx(ahead, rel=0.002 if exact else 0.1)
    # No gradient goes on to the network's input.
    stem = next(
        p.cost.flops for p in found.parts if (p.place, p.kind) == ("stem", attribution.FORWARD)
    )
    behind = kinds[attribution.BY_INPUT]
    assert behind == pytest.approx(ahead - stem, rel=0.002 if exact else 0.05)
    phases = {name: cost.flops for name, cost in group(found, "phase").items()}
    assert phases["forward"] == ahead + attention / 3 and phases["outside the net"] == 0


@pytest.mark.slow
def test_places_of_a_step(step):
    text, chip = step
    found = group(breakdown(text, chip), "place")
    levels = {"down_0", "down_1", "up_0", "up_1", "middle", "stem", "out", "time"}
    others = {"optimizer", "draws", "target, palette, loss"}
    assert levels | others <= set(found)
    assert found["optimizer"].flops == found["draws"].flops == 0
    # Parameters, gradients, average and two moments are read, all but gradients written.
    params = jax.eval_shape(model_config.from_config(stored.tiny()).init, jax.random.key(0))
    assert found["optimizer"].bytes > 4 * 9 * sum(x.size for x in jax.tree.leaves(params))
    total = costs(text, chip)
    assert found["unnamed"].bytes < 0.01 * total.bytes
    assert found["unnamed"].cycles <= 0.01 * total.cycles


@pytest.mark.slow
def test_the_samplers_steps_count_as_often_as_they_run(sampler):
    found = breakdown(sampler, CHIP)
    assert set(group(found, "phase")) == {"forward", "outside the net"}
    assert "optimizer" not in group(found, "place")
    config = stored.tiny()
    assert config.sampling.num_steps == 3 and config.sampling.guidance_weight
    model = model_config.from_config(config)
    drawn = flops.sample_flops(model, stored.BATCH, 3, guided=True)
    net = group(found, "phase")["forward"].flops
    # A CPU convolves the smaller map where one is doubled, model FLOPs are of the larger.
    assert net == costs(sampler, CHIP).flops
    assert 0.93 * drawn < net < drawn


@pytest.mark.parametrize(
    ("op_name", "place", "phase"),
    [
        ("jit(train_step)/shard_map/jvp(UNet)/down_3_res_0/conv_1/add", "down_3", "forward"),
        ("transpose(jvp(UNet))/up_10_attention_0/norm/reduce_sum", "up_10", "backward"),
        ("jit(f)/transpose(jvp(UNet))/checkpoint/middle_res_0/add", "middle", "backward"),
        ("jit(train_step)/jvp(UNet)/time_0/dot_general", "time", "forward"),
        ("state.params['out_conv']['kernel']", "out", "forward"),
        ("state.opt_state[1][0].mu['up_0_res_0']['bias']", "optimizer", "outside the net"),
        ("jit(train_step)/jvp(UNet)/concatenate", "net, outside its levels", "forward"),
        ("jit(train_step)/jit(_normal)/erf_inv", "draws", "outside the net"),
        ("jit(train_step)/shard_map/jvp(vmap())/sort", "target, palette, loss", "outside the net"),
        ("jit(train_step)/sqrt", "optimizer", "outside the net"),
        ("jit(draw_rows)/while/body/UNet/stem/add", "stem", "forward"),
        ("jit(draw_rows)/jit(clip)/max", "sampler, outside the net", "outside the net"),
        ("batch['image']", "batch", "outside the net"),
        ("", "unnamed", "outside the net"),
    ],
)
def test_place_and_phase_of_a_name(op_name, place, phase):
    assert (attribution.place(op_name), attribution.phase(op_name)) == (place, phase)


META = ', metadata={{op_name="{}"}}'.format
BACK = "jit(f)/transpose(jvp(UNet))/"


@pytest.mark.parametrize(
    ("target", "op_name", "kind"),
    [
        ("Forward", "jit(f)/jvp(UNet)/down_0_res_0/conv_0/x", attribution.FORWARD),
        ("Forward", BACK + "checkpoint/rematted_computation/down_0_res_0/x", attribution.FORWARD),
        ("Forward", BACK + "up_0_res_0/skip/conv_general_dilated", attribution.BY_INPUT),
        ("BackwardInput", BACK + "down_0_res_0/conv_0/x", attribution.BY_INPUT),
        ("BackwardFilter", BACK + "down_0_res_0/conv_0/x", attribution.BY_WEIGHTS),
        ("Forward", "jit(f)/jvp(UNet)/up_0_attention_0/qkv/dot_general", attribution.FORWARD),
        ("Forward", "jit(f)/jvp(UNet)/up_0_attention_0/dot_general", attribution.ATTENTION),
    ],
)
def test_the_kind_of_a_product(target, op_name, kind):
    line = next(line for line in CUDA.splitlines() if line.startswith("  %y = "))
    changed = line.replace("convForward", f"conv{target}") + META(op_name)
    found = breakdown(CUDA.replace(line, changed), CHIP)
    assert [each.kind for each in found.dearest if each.name == "y"] == [kind]


LINE = """\
HloModule m

%inside (a: bf16[2,4]) -> bf16[4,2] {{
  %a = bf16[2,4]{{1,0}} parameter(0)
  ROOT %t = bf16[4,2]{{1,0}} transpose(%a), dimensions={{1,0}}{inner}
}}

ENTRY %main (x: f32[2,4]) -> bf16[4,2] {{
  %x = f32[2,4]{{1,0}} parameter(0), metadata={{op_name="state.params['up_0_res_1']['bias']"}}
  %c = bf16[2,4]{{1,0}} convert(%x)
  ROOT %f = bf16[4,2]{{1,0}} fusion(%c), kind=kLoop, calls=%inside{outer}
}}
"""


@pytest.mark.parametrize(
    ("inner", "outer", "place"),
    [
        (META("jvp(UNet)/down_0_res_0/add"), META("jit(train_step)/sqrt"), "optimizer"),
        (META("jvp(UNet)/down_0_res_0/add"), META("broadcast.7"), "down_0"),
        (META("jvp(UNet)/down_0_res_0/add"), "", "down_0"),
        ("", "", "up_0"),
    ],
    ids=["its own", "made up", "its parts'", "its operand's"],
)
def test_the_name_of_an_operation(inner, outer, place):
    found = breakdown(LINE.format(inner=inner, outer=outer), CHIP)
    (fusion,) = [each for each in found.dearest if each.opcode == "fusion"]
    assert fusion.place == place
    assert fusion.shapes == "bf16[2,4]{1,0} -> bf16[4,2]{1,0}"
    if place != "optimizer":
        assert fusion.kind == attribution.LAYOUT


def test_the_text_tells_all_and_can_be_made_from_what_is_stored(step):
    program, chip = step
    found = breakdown(program, chip, dearest=3)
    assert len(found.dearest) == 3 and found.by_cycles == (chip.clock is not None)
    times = [found.time(each.cost) for each in found.dearest]
    assert times == sorted(times, reverse=True)
    printed = text.render_breakdown(found)
    for words in ("by place", "by kind", "by phase", "optimizer", "100.0%", "jit(train_step)"):
        assert words in printed
    stored = breakdown_lib.from_json(json.loads(json.dumps(found.to_json())))
    assert stored == found and text.render_breakdown(stored) == printed
    by_cycles = text.render_breakdown(breakdown(TPU, CHIP))
    assert "cycles" in by_cycles and "99.9%" in by_cycles and "3,505" in by_cycles


def test_a_program_that_does_nothing():
    given = jax.jit(lambda x: x).lower(jnp.zeros(())).compile().as_text()
    assert "all" in text.render_breakdown(breakdown(given, CHIP))
