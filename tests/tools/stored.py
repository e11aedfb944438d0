"""Compiled training steps of a tiny network, kept so that their compilers are not needed.

python -m tests.tools.stored v5e-1      # compiles and stores it again; needs `compile`
"""

import json
import lzma
import pathlib
import re
import sys
import tempfile

from bitdiff_jax import config as config_lib

HERE = pathlib.Path(__file__).resolve().parent / "stored"
BATCH = 2
# What of a line's attributes is read by nothing here.
_UNREAD = (
    (r' stack_frame_id=\d+| scheduling_name="[^"]*"', ""),
    (r'(backend_config=\{).*?("estimated_cycles":"\d+").*', r"\1\2}"),
    (r'backend_config=\{(?!"estimated|.*contracting|.*known_trip).*', ""),
    (r", frontend_attributes=\{[^}]*\}|, control-predecessors=\{[^}]*\}", ""),
    (r", sharding=\{[^}]*\}|, operand_precision=\{[^}]*\}", ""),
)  # fmt: skip
_PRODUCT = r" (?:convolution|dot)\(([^)]*)\)"


def tiny():
    """Every part that the paper's network has, in two levels of few channels."""
    config = config_lib.load("base:smoke")
    config.model.image_size = 16
    config.model.net.base_channels = 8
    config.model.net.num_heads = 1
    config.model.net.channel_multipliers = (1, 2)
    config.model.num_bits = 2
    config.model.palette.max_regions = 8
    config.model.net.dtype = "bfloat16"
    config.sampling.num_steps = 3
    return config


def load(accelerator: str) -> str:
    """The text of the training step for an accelerator."""
    return lzma.decompress((HERE / f"{accelerator}.hlo.xz").read_bytes()).decode()


def shorten(text: str) -> str:
    """Leaves out what is not read: of fused operations, all but one of each opcode and products."""
    fused = set(re.findall(r"fusion\(.* calls=%?([\w.\-]+)", text))
    needed = set(re.findall(r"%[\w.\-]+", " ".join(re.findall(_PRODUCT, text))))
    lines, inside, seen = [], False, set()
    for line in text.splitlines():
        if line.startswith("HloModule"):
            line = line.split(",")[0]
        elif found := re.match(r"(?:ENTRY )?%?([\w.\-]+) .*\{$", line):
            inside, seen = found[1] in fused, set()
        elif not line.startswith(("  ", "}")):
            continue
        for pattern, replacement in _UNREAD:
            line = re.sub(pattern, replacement, line)
        found = re.match(r"  (%[\w.\-]+) = .*? ([a-z\-]+)\(", line)  # not the root
        if inside and found and found[1] not in needed and found[2] != "parameter":
            if found[2] in seen and not re.search(_PRODUCT, line):
                continue
            seen.add(found[2])
        lines.append(line)
    return "\n".join(lines) + "\n"


def main(names: list[str]) -> None:
    from bitdiff_jax.compile import remote

    for name in names:
        values = json.loads(tiny().to_json_best_effort())
        with tempfile.TemporaryDirectory() as folder:
            request = remote.Request(values, name, "train", BATCH, folder)
            text = remote.program_text(remote.compile_remotely(request), folder)
        HERE.mkdir(exist_ok=True)
        packed = lzma.compress(shorten(text).encode(), preset=9)
        (HERE / f"{name}.hlo.xz").write_bytes(packed)
        print(f"{name}: {len(packed)} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
