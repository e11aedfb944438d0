"""Single settings that the paper, its code or this package decided."""

from bitdiff_jax.repro import trainings
from bitdiff_jax.repro.arms import Evaluation
from bitdiff_jax.repro.claims import Claim, Comparison

_BASE = Evaluation("base")
_BEST_BIAS = "bias -4"

CLAIMS = (
    Claim(
        "tanh",
        "settings",
        "The last activation",
        "A final tanh is crucial for discrete data (abstract).",
        {"tanh": _BASE, "none": Evaluation("no_tanh")},
        (Comparison("tanh", "none"), Comparison("tanh", "none", "iou")),
        tested="The same training without the tanh.",
        plot="ari",
    ),
    Claim(
        "sigmoid_bias",
        "settings",
        "Bias of the sigmoid weight",
        "A bias of -4 is used; the released sweep has -6, -4, -2, 0 and 2.",
        {f"bias {b}": Evaluation(trainings.biased(b)) for b in trainings.BIASES},
        tuple(Comparison(_BEST_BIAS, f"bias {b}") for b in trainings.BIASES if b != -4),
        tested="The same sweep.",
        plot="ari",
        full=tuple(("paper", {"model.objective.bias": float(b)}) for b in trainings.BIASES),
    ),
    Claim(
        "ema",
        "settings",
        "Averaged or last parameters",
        "The released code keeps an average of the parameters and samples with the last ones; "
        "here the average is used.",
        {"average": _BASE, "last": Evaluation("base", "raw", {"weights": "raw"})},
        (Comparison("average", "last"), Comparison("average", "last", "iou")),
        tested="Both of one checkpoint a seed.",
        plot="ari",
    ),
    Claim(
        "padding",
        "settings",
        "Padding",
        "The released code trains padding as background and overwrites it with -1 in sampling; "
        "here it is out of loss and palette.",
        {
            "left out": Evaluation("padding_out"),
            "as released": Evaluation("padding_as_released"),
        },
        (Comparison("left out", "as released"), Comparison("left out", "as released", "iou")),
        tested="Scenes of 32 x 24 pixels, a quarter of whose square is padding.",
        plot="ari",
        full=(
            ("base", {}),
            (
                "base",
                {
                    "model.objective.padding": "as_released",
                    "data.label_padding": 0,
                    "model.palette.frame": "square",
                },
            ),
        ),
    ),
    Claim(
        "time_input",
        "settings",
        "What the network is told of the time",
        "The released network is told t itself; here it is told the log-SNR.",
        {"logsnr": _BASE, "t": Evaluation("time_t")},
        (Comparison("logsnr", "t"), Comparison("logsnr", "t", "iou")),
        tested="The same training with either.",
        plot="ari",
        full=(("base", {}), ("base", {"model.time_input": "t"})),
    ),
    Claim(
        "self_conditioning",
        "systems",
        "Self-conditioning (Analog Bits)",
        "The released code has it and leaves it off; Analog Bits (arXiv 2208.04202) reports that "
        "it helps.",
        {"with": Evaluation("self_conditioned"), "without": _BASE},
        (Comparison("with", "without"), Comparison("with", "without", "iou")),
        tested="Half of the examples see a first guess of x0.",
        plot="ari",
        full=(("paper", {"model.objective.self_condition": 0.5}),),
    ),
    Claim(
        "supplement_s1",
        "settings",
        "Supplement S1: what the input scale does to the schedule",
        "Scaling x0 by b multiplies alpha / sigma by b: gamma_b = b² gamma / ((b² - 1) gamma + 1) "
        "(Eq. 7).",
        tested="Computed: the identity in float64 at 1,001 times, for b = .05, .1 and 1.",
        computed="bitdiff_jax.repro.computed:input_scale_identity",
    ),
)
