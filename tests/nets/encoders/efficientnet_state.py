"""Random weights under the names and shapes of EfficientNet-Lite0's published .pth file."""

import numpy as np

# Kernel, stride, expansion, input and output channels of each block.
BLOCKS = (
    (3, 1, 1, 32, 16), (3, 2, 6, 16, 24), (3, 1, 6, 24, 24), (5, 2, 6, 24, 40), (5, 1, 6, 40, 40),
    (3, 2, 6, 40, 80), (3, 1, 6, 80, 80), (3, 1, 6, 80, 80), (5, 1, 6, 80, 112),
    (5, 1, 6, 112, 112), (5, 1, 6, 112, 112), (5, 2, 6, 112, 192), (5, 1, 6, 192, 192),
    (5, 1, 6, 192, 192), (5, 1, 6, 192, 192), (3, 1, 6, 192, 320),
)  # fmt: skip


def random_state(seed: int = 0) -> dict[str, np.ndarray]:
    """Tensors by name, float32; the classifier is small, since it is not used."""
    rng = np.random.default_rng(seed)
    state: dict[str, np.ndarray] = {"_fc.weight": np.zeros((2, 2), np.float32)}

    def add(convolution, norm, out, inner, side):
        scale = (2 / (inner * side * side)) ** 0.5
        state[f"{convolution}.weight"] = scale * rng.normal(size=(out, inner, side, side))
        state[f"{norm}.weight"] = rng.uniform(0.5, 1.5, out)
        state[f"{norm}.bias"] = 0.2 * rng.normal(size=out)
        state[f"{norm}.running_mean"] = 0.2 * rng.normal(size=out)
        state[f"{norm}.running_var"] = rng.uniform(0.5, 1.5, out)
        state[f"{norm}.num_batches_tracked"] = np.array(1)

    add("_conv_stem", "_bn0", 32, 3, 3)
    for i, (side, _, expansion, inner, out) in enumerate(BLOCKS):
        wide, block = expansion * inner, f"_blocks.{i}"
        if expansion > 1:
            add(f"{block}._expand_conv", f"{block}._bn0", wide, inner, 1)
        add(f"{block}._depthwise_conv", f"{block}._bn1", wide, 1, side)
        add(f"{block}._project_conv", f"{block}._bn2", out, wide, 1)
    return {name: each.astype(np.float32) for name, each in state.items()}
