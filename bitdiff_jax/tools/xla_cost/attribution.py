"""Where in the project an operation of a compiled program comes from, and of what kind it is.

A compiled operation carries the name of the traced one (`op_name`): the path of functions and
modules, such as `jit(train_step)/shard_map/transpose(jvp(UNet))/up_0_res_1/conv_0/...`. Only the
names of modules are read, not what is inside them.
"""

import collections
import re
from collections.abc import Iterator

from bitdiff_jax.tools.xla_cost import hlo
from bitdiff_jax.tools.xla_cost.operations import COLLECTIVES, PRODUCTS, Operation

FORWARD, BY_INPUT, BY_WEIGHTS = (
    "convolution forward", "convolution by input", "convolution by weights",
)  # fmt: skip
ATTENTION, REDUCTION, ELEMENTWISE = "attention", "reductions", "norms and elementwise"
LAYOUT, OPTIMIZER, COLLECTIVE = "copies, layouts, conversions", "optimizer", "collectives"
OTHER = "other"

_NET = "net, outside its levels"
_PLACES = (
    ("optimizer", r"^state\.(opt_state|ema_params|step)"),
    ("batch", r"^batch\["),
    (r"\1", r"\b((?:down|up)_\d+)_"),
    (r"\1", r"(?:/|\[')(middle|stem|time|out)(?=_|/|')"),
    (_NET, r"\b(Fused)?UNet\b"),
    ("draws", r"random|threefry|_normal|_uniform|_bernoulli|_shuffle|stratified|Model\.draw"),
    ("target, palette, loss", r"\b(jvp|transpose)\("),
    ("optimizer", r"\bjit\(train_step\)"),
    ("sampler, outside the net", r"\bjit\(draw_rows\)"),
)
_IN_NET = re.compile(rf"(down|up)_\d+|middle|stem|time|out|{_NET}")
# Parts of an attention block beside the attention itself.
_BESIDE = re.compile(r"_attention_\d+/(norm|qkv|proj|add|add_any)\b")
_IDLE = frozenset(
    ("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "iota", "partition-id")
)
_LAYOUT = frozenset(
    ("copy", "copy-start", "transpose", "reshape", "broadcast", "convert", "concatenate", "pad",
     "slice", "slice-start", "dynamic-slice", "dynamic-update-slice", "bitcast-convert", "reverse")
)  # fmt: skip
_SPECIAL = frozenset(
    ("sort", "gather", "scatter", "custom-call", "rng", "rng-bit-generator", "while", "fft")
)
_DEPTH = 8  # greatest depth of the search for a name among operands


def name(operation: Operation, module: hlo.Module) -> str:
    """The op_name of an operation; '' if there is none.

    It is the name of a convolution in it, or else its own, that of most of its parts, or that of an
    operand.
    """
    return _name(operation.instruction, operation.computation, module, _DEPTH)


def place(op_name: str) -> str:
    """The part of the project, such as a level of the net or the optimizer, or 'unnamed'."""
    for replacement, pattern in _PLACES:
        if found := re.search(pattern, op_name):
            return found.expand(replacement)
    return "unnamed" if not op_name else "other"


def phase(op_name: str) -> str:
    """'backward', 'forward' (that of the sampler too), or 'outside the net'."""
    if not _IN_NET.fullmatch(place(op_name)):
        return "outside the net"
    return "backward" if _is_backward(op_name) else "forward"


def kind(operation: Operation, module: hlo.Module, op_name: str) -> str:
    """The kind of work. A fused operation has the kind of its most expensive part; a
    product comes before all others.

    Linear maps count as convolutions, with a kernel of one pixel.
    """
    parts = list(_parts(operation.instruction, module))
    opcodes = {part.opcode for part in parts}
    if operation.collectives or operation.instruction.opcode.removesuffix("-start") in COLLECTIVES:
        return COLLECTIVE
    if "_attention_" in op_name and not _BESIDE.search(op_name):
        return ATTENTION
    if operation.flops:
        product = next(part for part in parts if part.opcode in PRODUCTS)
        if not _is_backward(op_name) or "rematted_computation" in op_name:
            return FORWARD
        return BY_WEIGHTS if _contracts_images(product, operation, module) else BY_INPUT
    if place(op_name) == "optimizer":
        return OPTIMIZER
    if opcodes & _SPECIAL:
        return OTHER
    if opcodes & {"reduce", "reduce-window"}:
        return REDUCTION
    return LAYOUT if opcodes <= _LAYOUT else ELEMENTWISE


def _is_backward(op_name: str) -> bool:
    return "transpose(" in op_name


def _contracts_images(product: hlo.Instruction, operation: Operation, module: hlo.Module) -> bool:
    """Whether a backward product sums over images and places: the gradient by the weights.

    In arrays the images come first and the features last. The gradient by the input sums over
    features, that by the weights over what comes before them.
    """
    if product.opcode == "convolution":
        left = product.attribute("dim_labels").split("_")[0]
        return left.index("f") < left.index("b")
    if product.opcode == "custom-call":
        target = product.attribute("custom_call_target")
        if "__cudnn$conv" in target:
            return "BackwardFilter" in target
        contracted = re.search(r'"lhs_contracting_dimensions":\["(\d+)"', product.attributes)
        dimension = int(contracted[1]) if contracted else -1
    else:
        numbers = re.findall(r"\d+", product.attribute("lhs_contracting_dims"))
        dimension = int(numbers[-1]) if numbers else -1
    left_shape = _left(product, operation, module)
    return left_shape is not None and dimension != len(left_shape.dimensions) - 1


def _left(product: hlo.Instruction, operation: Operation, module: hlo.Module) -> hlo.Shape | None:
    """The shape of a product's left operand."""
    inside = [operation.computation]
    if operation.instruction.opcode == "fusion":
        inside = [module.computations[n] for n in operation.instruction.called("calls")]
    for computation in inside:
        if (maker := computation.by_name.get(product.operands[0])) and maker.shapes:
            return maker.shapes[0]
    return None


def _parts(instruction: hlo.Instruction, module: hlo.Module) -> Iterator[hlo.Instruction]:
    """The operations that do something in an operation: itself, or those fused into it."""
    if instruction.opcode != "fusion":
        yield instruction
        return
    for inner in module.computations[instruction.called("calls")[0]].instructions:
        if inner.opcode not in _IDLE:
            yield from _parts(inner, module)


def _name(
    instruction: hlo.Instruction, computation: hlo.Computation, module: hlo.Module, depth: int
) -> str:
    parts = list(_parts(instruction, module))
    names = [n for part in parts if part.opcode in PRODUCTS and (n := _own(part))]
    if names:
        return names[0]
    if own := _own(instruction):
        return own
    counted = collections.Counter(n for part in parts if (n := _own(part)))
    if counted:
        return counted.most_common(1)[0][0]
    for operand in instruction.operands if depth else ():
        maker = computation.by_name.get(operand)
        if maker is not None and (found := _name(maker, computation, module, depth - 1)):
            return found
    return ""


def _own(instruction: hlo.Instruction) -> str:
    """The op_name of a line; '' without one, or where the compiler made it up."""
    found = re.search(r'op_name="((?:[^"\\]|\\.)*)"', instruction.attributes)
    if not found or not re.search(r"[/\[(]", found[1]):
        return ""
    return found[1].replace("\\'", "'")
