"""The table of accelerators: what `--accelerator NAME` stands for.

Published numbers per chip: memory, bandwidth and peak of bfloat16 from the vendors' pages (Cloud
TPU v5e, v6e and v5p; NVIDIA A100 SXM 80 GB and H100 SXM). What of a TPU's memory a program may use
is what its compiler says when a program does not fit. A TPU's clock is the peak divided by what its
matrix units do in a cycle: 4 x 128 x 128 multiply-adds (v5e), 8 x 128 x 128 (v5p) and, so that no
estimate of its compiler exceeds the peak, 4 x 256 x 256 (v6e).
"""

import dataclasses
import importlib.util
import pathlib

from bitdiff_jax.errors import InputError
from bitdiff_jax.tools.xla_cost.chip import Chip

GIB = 2**30
TARGETS = pathlib.Path(__file__).resolve().parent / "targets"


@dataclasses.dataclass(frozen=True)
class Accelerator:
    """A machine: chips of one kind and how they are wired.

    Attributes:
        name: name on the command line.
        chip: kind of the chips.
        devices: number of chips.
        platform: platform of JAX, 'tpu' or 'cuda'.
        topology: the compiler's name of the arrangement.
        host_bounds: chips of one host along each axis of a TPU slice.
        machine: the machine's name in the cloud, for TPUs.
        target: name of the file in `TARGETS` that describes a GPU to the compiler.
    """

    name: str
    chip: Chip
    devices: int
    platform: str
    topology: str
    host_bounds: tuple[int, int, int] = (2, 2, 1)
    machine: str = ""
    target: str = ""

    @property
    def hosts(self) -> int:
        """Number of machines that hold the chips."""
        if self.platform == "cuda":
            return 1
        x, y, z = self.host_bounds
        return self.devices // (x * y * z)


V5E = Chip("TPU v5e", 16 * GIB, int(15.75 * GIB), 197e12, 819e9, 1.5e9)
V6E = Chip("TPU v6e", 32 * GIB, int(31.25 * GIB), 918e12, 1640e9, 1.75e9)
V5P = Chip("TPU v5p", 96 * GIB, int(95.74 * GIB), 459e12, 2765e9, 1.75e9)
# JAX takes three quarters of a GPU's memory unless XLA_PYTHON_CLIENT_MEM_FRACTION says otherwise;
# the sizes and bandwidths are those of the target files.
H100 = Chip("H100 SXM 80 GB", 84929347584, int(0.75 * 84929347584), 989e12, 3352e9)
A100 = Chip("A100 SXM 80 GB", 85100068864, int(0.75 * 85100068864), 312e12, 2039e9)

_FLAT = {1: "1x1", 4: "2x2", 8: "2x4", 16: "4x4", 32: "4x8", 64: "8x8", 128: "8x16", 256: "16x16"}
# v5p is counted in cores, of which a chip has two that work as one device.
_CUBE = {
    8: "2x2x1", 16: "2x2x2", 32: "2x2x4", 64: "2x4x4", 128: "4x4x4", 256: "4x4x8", 512: "4x8x8",
    1024: "8x8x8", 2048: "8x8x16", 4096: "8x16x16",
}  # fmt: skip


def _table() -> dict[str, Accelerator]:
    rows = []
    for family, chip, machine in (("v5e", V5E, "v5litepod"), ("v6e", V6E, "v6e")):
        for count, shape in _FLAT.items():
            bounds = {1: (1, 1, 1), 8: (2, 4, 1)}.get(count, (2, 2, 1))
            rows.append(
                Accelerator(
                    f"{family}-{count}", chip, count, "tpu", f"{family}:{shape}", bounds,
                    machine=f"{machine}-{count}",
                )
            )  # fmt: skip
    for cores, shape in _CUBE.items():
        name = f"v5p-{cores}"
        rows.append(Accelerator(name, V5P, cores // 2, "tpu", f"v5:{shape}", machine=name))
    for family, chip, target in (("h100", H100, "h100_sxm"), ("a100", A100, "a100_sxm_80")):
        for count in (1, 2, 4, 8):
            rows.append(
                Accelerator(
                    f"{family}-{count}", chip, count, "cuda", f"1x1x{count}",
                    target=f"{target}.textproto",
                )
            )  # fmt: skip
    return {row.name: row for row in rows}


ACCELERATORS = _table()
# The first that a device's name begins with: a v5p is plain 'TPU v5'.
_KINDS = (
    (V5E, "TPU v5 lite"), (V5E, "TPU v5e"), (V6E, "TPU v6 lite"), (V6E, "TPU v6e"), (V5P, "TPU v5"),
    (H100, "NVIDIA H100 80GB HBM3"), (A100, "NVIDIA A100-SXM4-80GB"),
)  # fmt: skip
_ALIASES = {"h100": "h100-1", "a100": "a100-1"}


def find(name: str) -> Accelerator:
    """The accelerator of a name; `h100` is one H100, and `v5litepod-8` is v5e-8.

    Raises:
        InputError: no accelerator has this name.
    """
    known = _ALIASES.get(name, name.replace("v5litepod-", "v5e-"))
    if known not in ACCELERATORS:
        raise InputError(
            f"--accelerator {name!r} is not known; there are {', '.join(ACCELERATORS)}"
        )
    return ACCELERATORS[known]


def peak_flops(device_kind: str, dtype: str) -> float | None:
    """Greatest FLOP/s of a device; None if its kind is not in the table.

    Args:
        device_kind: kind of the device, `jax.Device.device_kind`.
        dtype: compute dtype of the network. At JAX's default precision a TPU multiplies float32 as
            bfloat16, a GPU as TF32, at half the rate.
    """
    for chip, start in _KINDS:
        if device_kind.startswith(start):
            tf32 = dtype == "float32" and start.startswith("NVIDIA")
            return chip.peak_flops / 2 if tf32 else chip.peak_flops
    return None


def require_compiler(accelerator: Accelerator) -> None:
    """Checks that the accelerator's compiler is installed; loads nothing of it.

    Raises:
        InputError: it is not, with the command that installs it.
    """
    modules = {"tpu": ("libtpu",), "cuda": ("jax_cuda12_plugin", "jax_cuda13_plugin")}
    if not any(importlib.util.find_spec(module) for module in modules[accelerator.platform]):
        raise InputError(
            f"--accelerator {accelerator.name}: its compiler is not installed; no such machine is "
            "needed for it, only pip install 'bitdiff_jax[compile]', best in an environment of its "
            "own"
        )
