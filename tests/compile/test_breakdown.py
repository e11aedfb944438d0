"""Where costs go: every operation in one part, the parts of a true step against its arithmetic."""

import json

import jax
import jax.numpy as jnp
import pytest

from bitdiff_jax import config as config_lib
from bitdiff_jax import flops
from bitdiff_jax import model as model_lib
from bitdiff_jax.compile import breakdown as breakdown_lib
from bitdiff_jax.compile import naming, programs, text
from bitdiff_jax.compile.breakdown import breakdown
from bitdiff_jax.compile.costs import costs
from tests.compile.test_costs import CHIP, CUDA, TPU

BATCH = 2


def tiny():
    config = config_lib.load("base:smoke")
    config.model.image_size = 16
    config.model.net.base_channels = 8
    config.model.net.num_heads = 1
    config.model.net.channel_multipliers = (1, 2)
    config.model.num_bits = 2
    config.model.palette.max_regions = 8
    config.sampling.num_steps = 3
    return config


def lowered(config, program):
    return programs.lower(program, config, jax.devices()[:1], BATCH).compile().as_text()


@pytest.fixture(scope="module")
def step():
    return lowered(tiny(), "train")


@pytest.fixture(scope="module")
def recomputed():
    config = tiny()
    config.model.net.remat = True
    return lowered(config, "train")


@pytest.fixture(scope="module")
def sampler():
    return lowered(tiny(), "sample")


def group(found, key):
    return found.grouped(lambda part: getattr(part, key))


@pytest.mark.parametrize("program", ["TPU", "CUDA", "step", "sampler"])
def test_the_parts_sum_to_the_costs(program, request):
    given = {"TPU": TPU, "CUDA": CUDA}.get(program) or request.getfixturevalue(program)
    found, total = breakdown(given, CHIP), costs(given, CHIP)
    for key in ("place", "phase", "kind"):
        parts = group(found, key).values()
        for name in ("operations", "cycles", "flops", "bytes", "hbm_bytes", "seconds"):
            summed = sum(getattr(part, name) for part in parts)
            assert summed == pytest.approx(getattr(total, name), rel=1e-12), (key, name)


def products(found, *kinds):
    return sum(part.figures.flops for part in found.parts if part.kind in kinds)


@pytest.mark.parametrize("remat", [False, True])
def test_arithmetic_of_a_step_by_kind(request, remat):
    found = breakdown(request.getfixturevalue("recomputed" if remat else "step"), CHIP)
    forward = flops.forward_flops(model_lib.from_config(tiny())) * BATCH
    attention = sum(p.figures.flops for p in found.parts if p.kind == naming.ATTENTION)
    ahead = products(found, naming.FORWARD)
    by_weights = products(found, naming.BY_WEIGHTS)
    if not remat:
        # Of attention's two products, each has two gradients.
        assert ahead + attention / 3 == pytest.approx(forward, rel=0.001)
        assert by_weights == pytest.approx(ahead, rel=0.001)
        # No gradient goes on to the network's input.
        stem = next(
            p.figures.flops for p in found.parts if (p.place, p.kind) == ("stem", naming.FORWARD)
        )
        assert products(found, naming.BY_INPUT) == pytest.approx(ahead - stem, rel=0.002)
    else:
        assert ahead > 1.5 * by_weights
    assert sum(p.figures.flops for p in found.parts) == costs(
        request.getfixturevalue("recomputed" if remat else "step"), CHIP
    ).flops


def test_places_of_a_step(step):
    found = group(breakdown(step, CHIP), "place")
    levels = {"down_0", "down_1", "up_0", "up_1", "middle", "stem", "out", "time"}
    others = {"optimizer", "draws", "target, palette, loss"}
    assert levels | others <= set(found)
    assert found["optimizer"].flops == found["draws"].flops == 0
    # Parameters, gradients, average and moments are read, the last three and the first written.
    model = model_lib.from_config(tiny())
    shapes = jax.tree.leaves(jax.eval_shape(model.init, jax.random.key(0)))
    assert found["optimizer"].bytes > 4 * 8 * sum(shape.size for shape in shapes)
    assert found.get("unnamed", breakdown_lib.Figures()).bytes < 0.05 * costs(step, CHIP).bytes


def test_the_samplers_steps_count_as_often_as_they_run(sampler):
    found = breakdown(sampler, CHIP)
    assert set(group(found, "phase")) == {"forward", "outside the net"}
    assert "optimizer" not in group(found, "place")
    flops_of_net = group(found, "phase")["forward"].flops
    config = tiny()
    drawn = flops.sample_flops(model_lib.from_config(config), BATCH, 3, guided=True)
    assert config.sampling.guidance_weight and flops_of_net == pytest.approx(drawn, rel=0.001)


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
    assert (naming.place(op_name), naming.phase(op_name)) == (place, phase)


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
META = ', metadata={{op_name="{}"}}'.format


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
        assert fusion.kind == naming.LAYOUT


def test_the_text_tells_all_and_can_be_made_from_what_is_stored(step):
    found = breakdown(step, CHIP, dearest=3)
    assert len(found.dearest) == 3 and not found.by_cycles
    times = [each.figures.seconds for each in found.dearest]
    assert times == sorted(times, reverse=True)
    printed = text.render_breakdown(found)
    for words in ("by place", "by kind", "by phase", "optimizer", "100.0%", "UNet"):
        assert words in printed
    stored = breakdown_lib.from_json(json.loads(json.dumps(found.to_json())))
    assert stored == found and text.render_breakdown(stored) == printed
    by_cycles = text.render_breakdown(breakdown(TPU, CHIP))
    assert "cycles" in by_cycles and "99.9%" in by_cycles and "3,505" in by_cycles


def test_a_program_that_does_nothing():
    given = jax.jit(lambda x: x).lower(jnp.zeros(())).compile().as_text()
    assert "all" in text.render_breakdown(breakdown(given, CHIP))
