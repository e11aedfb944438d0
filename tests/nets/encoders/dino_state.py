"""Random weights under the names that `transformers` gives those of DINOv2 and DINOv3."""

import numpy as np

WIDTH, DEPTH, HEADS = 32, 2, 2


def random_state(version: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Tensors by name, float32, of a small network of either version."""
    rng = np.random.default_rng(seed)
    state: dict[str, np.ndarray] = {}

    def linear(name, out, inner, *, bias=True, side=None):
        shape = (out, inner) if side is None else (out, inner, side, side)
        state[f"{name}.weight"] = rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
        if bias:
            state[f"{name}.bias"] = 0.2 * rng.normal(size=out)

    def norm(name):
        state[f"{name}.weight"] = rng.uniform(0.5, 1.5, WIDTH)
        state[f"{name}.bias"] = 0.2 * rng.normal(size=WIDTH)

    state["embeddings.cls_token"] = rng.normal(size=(1, 1, WIDTH))
    if version == 2:
        state["embeddings.mask_token"] = rng.normal(size=(1, WIDTH))
        state["embeddings.position_embeddings"] = rng.normal(size=(1, 1 + 37 * 37, WIDTH))
        linear("embeddings.patch_embeddings.projection", WIDTH, 3, side=14)
    else:
        state["embeddings.mask_token"] = rng.normal(size=(1, 1, WIDTH))
        state["embeddings.register_tokens"] = rng.normal(size=(1, 4, WIDTH))
        linear("embeddings.patch_embeddings", WIDTH, 3, side=16)
    for i in range(DEPTH):
        block = f"encoder.layer.{i}" if version == 2 else f"layer.{i}"
        norm(f"{block}.norm1")
        if version == 2:
            for part in ("query", "key", "value"):
                linear(f"{block}.attention.attention.{part}", WIDTH, WIDTH)
            linear(f"{block}.attention.output.dense", WIDTH, WIDTH)
        else:
            for part in ("q", "k", "v", "o"):
                linear(f"{block}.attention.{part}_proj", WIDTH, WIDTH, bias=part != "k")
        state[f"{block}.layer_scale1.lambda1"] = rng.uniform(0.5, 1.5, WIDTH)
        norm(f"{block}.norm2")
        up, down = ("fc1", "fc2") if version == 2 else ("up_proj", "down_proj")
        linear(f"{block}.mlp.{up}", 4 * WIDTH, WIDTH)
        linear(f"{block}.mlp.{down}", WIDTH, 4 * WIDTH)
        state[f"{block}.layer_scale2.lambda1"] = rng.uniform(0.5, 1.5, WIDTH)
    norm("layernorm" if version == 2 else "norm")
    return {name: each.astype(np.float32) for name, each in state.items()}
