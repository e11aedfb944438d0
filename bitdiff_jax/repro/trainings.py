"""The trainings that claims ask for, by name; each says what it changes of the proxy's config."""

from typing import Any

from bitdiff_jax.repro.arms import Training

_CONTROLS = "bitdiff_jax.repro.controls"
# The released objective: the others of Fig. 7 are not multiplied by -dlogsnr/dt.
_SIGMOID = {"model.objective.weight": "sigmoid", "model.objective.decoupled": True}
_UNIFORM = {"model.objective.weight": "uniform", "model.objective.decoupled": False}
_ONE_STEP = {
    "sampling.num_steps": 1,
    "sampling.guidance_weight": 0.0,
    "sampling.method": "ddim",
}
_WIDE = "bitdiff_jax.repro.rendered:RenderedScenes,level=2,size=32,seed=0,length=16384,height=24"
_AT_64 = "bitdiff_jax.repro.rendered:RenderedScenes,level=2,size=64,seed=0,length=16384"

PREDICTIONS = ("x", "v", "eps")
WEIGHTS = ("sigmoid", "uniform", "snr")
BIASES = (-6, -4, -2, 0, 2)
SCALES = (1.0, 0.2, 0.1, 0.05, 0.02)
SCALES_AT_64 = (0.2, 0.05, 0.02)
BITS = (2, 4, 6, 8)


def objective(prediction: str, weight: str) -> str:
    """Name of the training of a prediction and a weight (Fig. 7)."""
    return "base" if (prediction, weight) == ("x", "uniform") else f"{prediction}_{weight}"


def biased(bias: int) -> str:
    """Name of the training of the sigmoid weight with a bias."""
    return objective("x", "sigmoid") if bias == -4 else f"bias{bias:+d}"


def scaled(input_scale: float, side: int = 32) -> str:
    """Name of the training with an input scale b, at a side of the picture in pixels."""
    if (input_scale, side) == (0.05, 32):
        return "base"
    return f"b{input_scale:g}" + (f"_at{side}" if side != 32 else "")


def with_bits(num_bits: int) -> str:
    """Name of the training with a number of bits."""
    return "base" if num_bits == 6 else f"bits{num_bits}"


def _all() -> list[Training]:
    none, random = {"model.palette.layout": "none"}, {"model.palette.layout": "random"}
    found = [
        Training("base"),
        # The controls.
        Training(
            "one_call",
            {
                "model.encoding": "onehot",
                "model.objective.loss": f"{_CONTROLS}.one_call:cross_entropy",
                **_UNIFORM,
                "model.objective.image_keep": 1.0,
                **_ONE_STEP,
            },
            network=f"{_CONTROLS}.networks:image_alone",
        ),
        Training(
            "pix2seq",
            {
                "model.encoding": f"{_CONTROLS}.pix2seq:BitsAndCodes",
                "model.objective.loss": f"{_CONTROLS}.pix2seq:cross_entropy",
                **_UNIFORM,
            },
            network=f"{_CONTROLS}.networks:expected_bits",
        ),
        Training("query_masks", _ONE_STEP, model=f"{_CONTROLS}.query_masks:make"),
        Training("prob_unet", _ONE_STEP, model=f"{_CONTROLS}.prob_unet:make"),
        # Tables 1 and 3.
        Training("bits_random", random),
        Training("bits_different", {"model.palette.layout": "different"}),
        Training("bits_none", none),
        Training("onehot_random", {"model.encoding": "onehot", **random}),
        Training("onehot_none", {"model.encoding": "onehot", **none}),
        Training("rgb_random", {"model.encoding": "rgb", **random}),
        Training("rgb_released_random", {"model.encoding": "rgb_as_released", **random}),
        Training("rgb_none", {"model.encoding": "rgb", **none}),
        # The last activation.
        Training("no_tanh", network=f"{_CONTROLS}.networks:without_activation"),
        # Fig. 1: what is added to neither palette, tanh nor input scale.
        *_additions(none),
        Training("time_t", {"model.time_input": "t"}),
        Training("padding_out", {"data.train": _WIDE}),
        Training(
            "padding_as_released",
            {
                "data.train": _WIDE,
                "data.label_padding": 0,
                "model.objective.padding": "as_released",
                "model.palette.frame": "square",
            },
        ),
        Training("self_conditioned", {"model.objective.self_condition": 0.5}),
    ]
    found += [Training(with_bits(k), {"model.num_bits": k}) for k in BITS if with_bits(k) != "base"]
    found += [
        Training(objective(p, w), {"model.prediction": p, **_weight(w)})
        for p in PREDICTIONS
        for w in WEIGHTS
        if objective(p, w) != "base"
    ]
    found += [
        Training(biased(b), {**_SIGMOID, "model.objective.bias": float(b)})
        for b in BIASES
        if b != -4
    ]
    found += [
        Training(scaled(b), {"model.schedule.input_scale": b})
        for b in SCALES
        if scaled(b) != "base"
    ]
    found += [
        Training(
            scaled(b, 64),
            {
                "data.train": _AT_64,
                "model.image_size": 64,
                "model.net.patch_size": 4,
                "model.schedule.input_scale": b,
            },
        )
        for b in SCALES_AT_64
    ]
    return found


def _additions(none: dict[str, Any]) -> list[Training]:
    wide = {"model.schedule.input_scale": 1.0}
    plain = f"{_CONTROLS}.networks:without_activation"
    return [
        Training("add_nothing", {**none, **wide}, network=plain),
        Training("add_palette", wide, network=plain),
        Training("add_tanh", {**none, **wide}),
    ]


def _weight(weight: str) -> dict[str, Any]:
    if weight == "sigmoid":
        return _SIGMOID
    return {"model.objective.weight": weight, "model.objective.decoupled": False}


TRAININGS = {training.name: training for training in _all()}
