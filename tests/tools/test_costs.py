"""Costs read from the text of compiled programs, against XLA's own count and by hand."""

import re

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from bitdiff_jax.compile.accelerators import Chip
from bitdiff_jax.tools.xla_cost import hlo
from bitdiff_jax.tools.xla_cost.costs import costs

CHIP = Chip("test", 100, 90, peak_flops=1000.0, bandwidth=10.0, clock=5.0)


def compiled(function, *shapes):
    arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return jax.jit(function).lower(*arguments).compile()


def convolution(x, kernel, **keywords):
    keywords = {"window_strides": (1, 1), "padding": [(1, 1), (1, 1)], **keywords}
    return lax.conv_general_dilated(
        x, kernel, dimension_numbers=("NHWC", "HWIO", "NHWC"), **keywords
    )


@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"window_strides": (2, 3), "padding": [(2, 1), (0, 3)]},
        {"lhs_dilation": (2, 3), "rhs_dilation": (2, 1)},
        {"feature_group_count": 2},
    ],
    ids=str,
)
def test_convolutions_are_counted_as_xla_counts_them(keywords):
    depth = 4 // keywords.get("feature_group_count", 1)
    program = compiled(lambda x, k: convolution(x, k, **keywords), (6, 9, 10, 4), (3, 4, depth, 6))
    found = costs(program.as_text(), CHIP)
    assert found.flops == found.flops_once == program.cost_analysis()["flops"] > 0


def test_products_are_counted_as_xla_counts_them():
    program = compiled(lambda a, b: jnp.einsum("bqhd,bkhd->bhqk", a, b), (2, 5, 3, 7), (2, 6, 3, 7))
    assert costs(program.as_text(), CHIP).flops == 2 * 2 * 3 * 5 * 6 * 7


def looped(x, w):
    def outer(carry, _):
        return lax.scan(lambda c, _: (jnp.tanh(c @ w), None), carry, length=3)[0], None

    return lax.scan(outer, x @ w, length=7)[0]


@pytest.mark.parametrize("told", [True, False], ids=["trips told", "trips from the condition"])
def test_loops_count_as_often_as_they_run(told):
    text = compiled(looped, (64, 64), (64, 64)).as_text()
    if not told:
        text, removed = re.subn(r'"known_trip_count":\{"n":"\d+"\},?', "", text)
        assert removed == 2
    found = costs(text, CHIP)
    assert found.flops == (1 + 21) * 2 * 64**3
    assert found.flops_once == 2 * 2 * 64**3
    assert sorted(trips for _, trips in found.loops) == [3, 7]
    assert found.bytes > found.bytes_once


@pytest.mark.parametrize(
    ("condition", "step"),
    [
        (lambda i, x: jnp.sum(x) < 9, lambda i, x: i + 1),
        (lambda i, x: i < 9, lambda i, x: i + 2),
        (lambda i, x: i < 9, lambda i, x: i + jnp.int32(x[0, 0])),
    ],
)
def test_a_loop_that_may_end_any_time_counts_once_and_is_named(condition, step):
    def f(x, w):
        carry = jnp.int32(0), x
        return lax.while_loop(lambda c: condition(*c), lambda c: (step(*c), c[1] @ w), carry)

    text = compiled(f, (8, 8), (8, 8)).as_text()
    found = costs(re.sub(r'"known_trip_count":\{"n":"\d+"\},?', "", text), CHIP)
    assert found.flops == 2 * 8**3
    assert [trips for _, trips in found.loops] == [None]


def test_bytes_are_those_that_xla_counts():
    program = compiled(lambda a, b: a @ b, (32, 64), (64, 16))
    assert costs(program.as_text(), CHIP).bytes == program.cost_analysis()["bytes accessed"]


TPU = """\
HloModule jit_f, is_scheduled=true

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[]{:T(128)} parameter(0)
  %b = f32[]{:T(128)} parameter(1)
  ROOT %sum = f32[]{:T(128)} add(%a, %b)
}

%condition (p: (s32[], bf16[64,100])) -> pred[] {
  %limit = s32[]{:T(128)} constant(5)
  %p = (s32[]{:T(128)}, bf16[64,100]{1,0:T(8,128)(2,1)}) parameter(0)
  %i = s32[]{:T(128)} get-tuple-element(%p), index=0
  ROOT %lt = pred[]{:T(512)} compare(%i, %limit), direction=LT, metadata={op_name="jit(f)/lt"}
}

%fused (x: bf16[64,100], k: bf16[100,100]) -> bf16[64,100] {
  %x = bf16[64,100]{1,0:T(8,128)(2,1)} parameter(0)
  %k = bf16[100,100]{1,0:T(8,128)(2,1)S(1)} parameter(1)
  ROOT %conv = bf16[64,100]{1,0:T(8,128)(2,1)} convolution(%x, %k), dim_labels=bf_io->bf
}

%body (q: (s32[], bf16[64,100])) -> (s32[], bf16[64,100]) {
  %q = (s32[]{:T(128)}, bf16[64,100]{1,0:T(8,128)(2,1)}) parameter(0)
  %one = s32[]{:T(128)} constant(1)
  %j = s32[]{:T(128)} get-tuple-element(%q), index=0
  %j2 = s32[]{:T(128)} copy(%j)
  %next = s32[]{:T(128)} add(%j2, %one), backend_config={"estimated_cycles":"1"}
  %y = bf16[64,100]{1,0:T(8,128)(2,1)} get-tuple-element(%q), index=1
  %w = bf16[100,100]{1,0:T(8,128)(2,1)S(1)} custom-call(), custom_call_target="AllocateBuffer"
  %z = bf16[64,100]{1,0:T(8,128)(2,1)} fusion(%y, %w), kind=kOutput, calls=%fused, \
backend_config={"window_config":{"window":["1"],"estimated_cycles":"700"},"text":"a) } b"}
  ROOT %r = (s32[]{:T(128)}, bf16[64,100]{1,0:T(8,128)(2,1)}) tuple(%next, %z)
}

ENTRY %main (g: f32[3,4], h: f32[5], x0: bf16[64,100]) -> (f32[3,4], bf16[64,100]) {
  %g = f32[3,4]{1,0:T(4,128)} parameter(0)
  %h = f32[5]{0:T(128)} parameter(1)
  %x0 = bf16[64,100]{1,0:T(8,128)(2,1)} parameter(2)
  %zero = s32[]{:T(128)} constant(0)
  %state = (s32[]{:T(128)}, bf16[64,100]{1,0:T(8,128)(2,1)}) tuple(%zero, %x0)
  %while.1 = (s32[]{:T(128)}, bf16[64,100]{1,0:T(8,128)(2,1)}) while(%state), \
condition=%condition, body=%body
  %all = (f32[3,4]{1,0:T(4,128)}, /*index=1*/f32[5]{0:T(128)}) all-reduce(%g, %h), channel_id=1, \
replica_groups=mesh['axis_0'=4] {'axis_0'}, to_apply=%add
  %gs = (f32[3,4]{1,0:T(4,128)}, f32[12,4]{1,0:T(4,128)}) all-gather-start(%g), dimensions={0}
  %gd = f32[12,4]{1,0:T(4,128)} all-gather-done(%gs)
  %g2 = f32[3,4]{1,0:T(4,128)} get-tuple-element(%all), index=0
  %out = bf16[64,100]{1,0:T(8,128)(2,1)} get-tuple-element(%while.1), index=1
  ROOT %result = (f32[3,4]{1,0:T(4,128)}, bf16[64,100]{1,0:T(8,128)(2,1)}) tuple(%g2, %out)
}
"""


def test_a_tpu_program_by_hand():
    found = costs(TPU, CHIP)
    assert found.loops == [("while.1", 5)]
    assert found.flops == 5 * 2 * 64 * 100 * 100 and found.flops_once * 5 == found.flops
    assert found.cycles == 5 * 701 and found.estimated == 10
    # Collectives by what they carry, without the padding of tiles.
    assert found.collectives == {"all-reduce": [1, 4 * (12 + 5)], "all-gather": [1, 48]}
    # 100 channels lie in 128 lanes; the kernel is on the chip. A scalar takes 512 bytes.
    y, w, scalar = 64 * 128 * 2, 104 * 128 * 2, 4
    in_loop = 2 * y + w + 5 * scalar
    reduced = 2 * (4 * 128 * 4 + 128 * 4)
    gathered = 4 * 128 * 4 + 12 * 128 * 4
    assert found.bytes == 5 * in_loop + reduced + gathered
    assert found.hbm_bytes == found.bytes - 5 * w
    # z: max(128,000 FLOP / 1000, 32,768 B / 10) = 3,276.8 s.
    in_memory = (found.hbm_bytes - 5 * 2 * y) / 10
    assert found.seconds == pytest.approx(5 * 2 * y / 10 + in_memory)


CUDA = """\
HloModule jit_f

ENTRY %main (x: bf16[2,8,8,3], k: bf16[5,3,3,3], dy: bf16[2,4,4,5], a: f32[4,6], b: f32[6,2]) -> f32[] {
  %x = bf16[2,8,8,3]{3,2,1,0} parameter(0)
  %k = bf16[5,3,3,3]{3,2,1,0} parameter(1)
  %dy = bf16[2,4,4,5]{3,2,1,0} parameter(2)
  %a = f32[4,6]{1,0} parameter(3)
  %b = f32[6,2]{1,0} parameter(4)
  %y = (bf16[2,4,4,5]{3,2,1,0}, u8[0]{0}) custom-call(%x, %k), window={size=3x3 stride=2x2 \
pad=1_0x1_0}, dim_labels=b01f_o01i->b01f, custom_call_target="__cudnn$convForward"
  %dx = (bf16[2,8,8,3]{3,2,1,0}, u8[0]{0}) custom-call(%dy, %k), window={size=3x3 stride=2x2 \
pad=1_0x1_0}, dim_labels=b01f_o01i->b01f, custom_call_target="__cudnn$convBackwardInput"
  %dk = (bf16[5,3,3,3]{3,2,1,0}, u8[0]{0}) custom-call(%x, %dy), window={size=3x3 stride=2x2 \
pad=1_0x1_0}, dim_labels=b01f_o01i->b01f, custom_call_target="__cudnn$convBackwardFilter"
  ROOT %c = (f32[4,2]{1,0}, s8[64]{0}) custom-call(%a, %b), custom_call_target="__cublas$gemm", \
backend_config={"gemm_backend_config":{"dot_dimension_numbers":\
{"lhs_contracting_dimensions":["1"],"rhs_contracting_dimensions":["0"]}}}
}
"""  # noqa: E501


def test_calls_of_cuda_libraries_by_hand():
    # Along a side, 4 outputs of 3 positions, the first of which misses one: 11 pairs.
    assert costs(CUDA, CHIP).flops == 3 * 2 * 2 * 11 * 11 * 3 * 5 + 2 * 4 * 6 * 2


def test_a_text_without_entry_is_an_error():
    with pytest.raises(ValueError, match="no entry"):
        hlo.parse("HloModule x\n")
