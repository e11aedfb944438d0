"""The order of the rooms, and what the ground floor may load."""

import ast
import pathlib
import re
import subprocess
import sys

import pytest

import bitdiff_jax

PACKAGE = pathlib.Path(bitdiff_jax.__file__).parent
# A room imports only from those before it.
ORDER = (
    "errors", "extensions", "files", "traces", "weights_files", "feature_grids", "diffusion",
    "encoding", "metrics", "posterior", "nets", "config_files", "config", "target", "own_parts",
    "image_condition", "prompts", "training_loss", "model", "flops", "scenes", "data", "parallel",
    "config_checks", "model_config", "checkpoint", "writers", "inference", "export", "evaluation",
    "training", "napari_plugin", "tools", "compile", "testing", "repro", "serve", "cli", "__main__",
)  # fmt: skip
GROUND_FLOOR = ("diffusion", "encoding", "metrics")
HEAVY = (
    "flax",
    "grain",
    "orbax",
    "tensorflow_datasets",
    "scipy",
    "matplotlib",
    "PIL",
    "optax",
    "clu",
    "tensorboardX",
)


def room_of(path: pathlib.Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imported_rooms(path: pathlib.Path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the room"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "bitdiff_jax" and len(parts) > 1:
                yield parts[1]


FILES = sorted(p for p in PACKAGE.rglob("*.py") if p.name != "__init__.py" or p.parent != PACKAGE)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_from_rooms_above_it(path):
    room = room_of(path)
    if room == "configs":
        return
    for other in imported_rooms(path):
        assert ORDER.index(other) <= ORDER.index(room), f"{room} imports {other}"


def test_one_room_each_for_flax_modules_orbax_and_safetensors():
    for path in FILES:
        if room_of(path) != "nets":
            assert not re.search(r"^\s*(import|from) flax\.linen\b", path.read_text(), re.M), path
        if room_of(path) != "checkpoint":
            assert not re.search(r"^\s*(import|from) orbax\b", path.read_text(), re.M), path
        if room_of(path) != "weights_files":
            assert not re.search(r"^\s*(import|from) safetensors\b", path.read_text(), re.M), path


@pytest.mark.slow
def test_the_ground_floor_is_light():
    """In one process, since each of these costs a second: what none of them loads, no one does."""
    statements = (
        "import bitdiff_jax",
        *(f"import bitdiff_jax.{room}" for room in GROUND_FLOOR),
        "from bitdiff_jax.diffusion import schedules, sampling, losses, times, weighting",
        "from bitdiff_jax.encoding import bits, onehot, rgb, dichotomy, palette, fill",
    )
    loaded = "{m.split('.')[0] for m in sys.modules}"
    # jax itself loads a part of scipy; what counts is what comes on top of `import jax, jax.numpy`.
    lines = ["import sys, jax, jax.numpy", f"alone = {loaded}", *statements]
    code = "\n".join([*lines, f"print(sorted(({loaded} - alone) & set({HEAVY!r})))"])
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_nothing_loads_torch_or_tensorflow():
    for path in FILES:
        text = path.read_text()
        # tensorflow_datasets loads no TensorFlow as long as features are bytes.
        assert not re.search(r"\b(import|from) (torch|tensorflow|cv2)\b", text), path
