"""The figures of the paper. Where its own words are not known here, a claim says so."""

from bitdiff_jax.repro import trainings
from bitdiff_jax.repro.arms import Evaluation
from bitdiff_jax.repro.claims import Claim, Comparison

_STEPS = (2, 4, 8, 16, 50)
_GUIDANCE = (-1.0, -0.1, 0.0, 0.1, 0.3, 0.5, 1.0, 2.0, 2.5, 3.0, 10.0)
_VOTES = Evaluation("base", "votes16", num_samples=16, num_images=100)


def _guided(weight: float) -> Evaluation:
    return Evaluation("base", f"guidance{weight:g}", {"guidance_weight": weight})


def _stepped(method: str, weight: float, steps: int) -> Evaluation:
    settings = {"method": method, "guidance_weight": weight, "num_steps": steps}
    return Evaluation("base", f"{method}_w{weight:g}_n{steps}", settings)


CLAIMS = (
    Claim(
        "fig1",
        "figures",
        "Fig. 1: the parts added one after the other",
        "A location-aware palette with the 2-D Gray order improves results, and a final tanh is "
        "crucial for discrete data (abstract; the figure's values are not known here).",
        {
            "nothing": Evaluation("add_nothing"),
            "palette": Evaluation("add_palette"),
            "palette, scale": Evaluation("no_tanh"),
            "tanh": Evaluation("add_tanh"),
            "tanh, scale": Evaluation("bits_none"),
            "all": Evaluation("base"),
        },
        (
            Comparison("palette", "nothing"),
            Comparison("palette, scale", "palette"),
            Comparison("all", "palette, scale"),
            Comparison("tanh", "nothing"),
            Comparison("tanh, scale", "tanh"),
            Comparison("all", "tanh, scale"),
        ),
        tested=(
            "Palette, input scale (.05 instead of 1) and tanh, added in this order and, but for "
            "the middle one, in the opposite."
        ),
        plot="ari",
    ),
    Claim(
        "fig2",
        "figures",
        "Fig. 2: noise at two input scales",
        "The input scale b multiplies alpha / sigma, so that a smaller one leaves less of a label "
        "map to be seen at the same time (the figure itself is not known here).",
        tested="Computed: the share of bits that the sign of one pixel of x_t gives away.",
        computed="bitdiff_jax.repro.computed:readable_bits",
    ),
    Claim(
        "fig3",
        "figures",
        "Fig. 3: number of bits",
        "The number of codes is swept from 2^2 on, with the truth merged to as many regions; one-"
        "hot codes need 2^k channels (the figure's values are not known here).",
        {f"{k} bits": Evaluation(trainings.with_bits(k)) for k in trainings.BITS},
        (Comparison("6 bits", "2 bits"), Comparison("6 bits", "4 bits")),
        tested="2, 4, 6 and 8 bits, always against all regions of the truth.",
        computed="bitdiff_jax.repro.computed:channels",
        plot="ari",
        full=tuple(("paper", {"model.num_bits": k}) for k in (2, 4, 6, 8)),
    ),
    Claim(
        "fig4",
        "figures",
        "Fig. 4: number of steps",
        "8 steps are used; with many steps quality falls again.",
        {
            f"{method} w {weight:g}, {steps}": _stepped(method, weight, steps)
            for method, weight in (("ddpm", 1.0), ("ddpm", 0.0), ("ddim", 1.0))
            for steps in _STEPS
        },
        (
            Comparison("ddpm w 1, 8", "ddpm w 1, 2"),
            Comparison("ddpm w 1, 8", "ddpm w 1, 50"),
        ),
        tested="One checkpoint a seed, 2 to 50 steps, DDPM with and without guidance, and DDIM.",
        plot="ari",
    ),
    Claim(
        "fig5",
        "figures",
        "Fig. 5: guidance weight",
        "ARI is best at a weight of 1 and IoU at 2.5; 0 is no guidance.",
        {f"w {weight:g}": _guided(weight) for weight in _GUIDANCE},
        (
            Comparison("w 1", "w 0"),
            Comparison("w 1", "w -1"),
            Comparison("w 1", "w 10"),
            Comparison("w 2.5", "w 0", "iou"),
            Comparison("w 2.5", "w 1", "iou"),
        ),
        tested="One checkpoint a seed, the released sweep and 2.5.",
        plot="ari",
    ),
    Claim(
        "fig6",
        "figures",
        "Fig. 6: the best of several votes",
        "The best of n samples, by an oracle that knows the truth, scores higher than one sample.",
        {"16 samples": _VOTES},
        (
            Comparison("16 samples:ari_best", "16 samples:ari"),
            Comparison("16 samples:ari_medoid", "16 samples:ari"),
            Comparison("16 samples:ari_consensus", "16 samples:ari"),
        ),
        tested=(
            "16 samples of 100 scenes; beside the oracle, which cannot lose, the sample nearest to "
            "the others and their consensus, which know no truth."
        ),
    ),
    Claim(
        "fig7",
        "figures",
        "Fig. 7: predictions and loss weights",
        "The sigmoid weight is better than the others whatever is predicted, and x is predicted.",
        {
            f"{p}, {w}": Evaluation(trainings.objective(p, w))
            for p in trainings.PREDICTIONS
            for w in trainings.WEIGHTS
        },
        tuple(
            Comparison(f"{p}, sigmoid", f"{p}, {w}")
            for p in trainings.PREDICTIONS
            for w in trainings.WEIGHTS
            if w != "sigmoid"
        ),
        tested=(
            "x, v and eps with sigmoid (decoupled, bias -4), uniform and SNR (neither decoupled); "
            "with the palette, where the paper has none."
        ),
        plot="ari",
        full=tuple(
            (
                "paper",
                {
                    "model.palette.layout": "none",
                    "model.prediction": p,
                    "model.objective.weight": w,
                    "model.objective.decoupled": w == "sigmoid",
                },
            )
            for p in ("x", "v", "eps")
            for w in ("sigmoid", "uniform", "snr", "snr_plus1", "snr_trunc")
        ),
    ),
    Claim(
        "fig8",
        "figures",
        "Fig. 8: orphan pixels",
        "(What the figure says is not known here.)",
        {"as drawn": Evaluation("base"), "guidance 1": _guided(1.0), "guidance 0": _guided(0.0)},
        tested=(
            "Measured only: the share of pixels in pieces of less than 4 pixels, column `orphans`."
        ),
        not_testable="its statement is not known here, so that nothing can decide it",
    ),
    Claim(
        "fig9",
        "figures",
        "Fig. 9: input scale",
        "An input scale of .1 is used at 128 pixels, after a sweep over b (whose values are not "
        "known here); b = 1 is no scaling.",
        {
            **{f"b {b:g}": Evaluation(trainings.scaled(b)) for b in trainings.SCALES},
            **{
                f"b {b:g}, 64 px": Evaluation(trainings.scaled(b, 64))
                for b in trainings.SCALES_AT_64
            },
        },
        (
            Comparison("b 0.1", "b 1"),
            Comparison("b 0.05", "b 1"),
            Comparison("b 0.05", "b 0.2"),
            Comparison("b 0.05", "b 0.02"),
            Comparison("b 0.05, 64 px", "b 0.2, 64 px"),
        ),
        tested=(
            "32 and 64 pixels, where half the pixels a side ask for half the scale; 128 pixels "
            "take too long for a proxy."
        ),
        plot="ari",
        full=tuple(
            ("paper", {"model.schedule.input_scale": b})
            for b in (1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03)
        ),
    ),
)
