"""The controls: is it diffusion that makes agnostic segmentation possible?"""

from bitdiff_jax.repro.arms import Evaluation
from bitdiff_jax.repro.claims import Claim, Comparison

_THESIS = (
    "Diffusion makes agnostic segmentation possible without masks (abstract); the thesis behind it "
    "is that a prediction of the mean cannot do it, since which code a region gets is open."
)
_BASE = Evaluation("base")
_SIXTEEN = Evaluation("base", "votes16", num_samples=16, num_images=100)


def _over(better: str, *worse: str) -> tuple[Comparison, ...]:
    return tuple(Comparison(better, each, metric) for each in worse for metric in ("ari", "iou"))


CLAIMS = (
    Claim(
        "one_call",
        "controls",
        "One call, no diffusion",
        _THESIS,
        {"diffusion": _BASE, "one call": Evaluation("one_call")},
        _over("diffusion", "one call"),
        tested=(
            "The same U-Net and palette, from the picture to a softmax over the 64 codes by cross "
            "entropy; the most probable code of each pixel."
        ),
        plot="ari",
    ),
    Claim(
        "ensemble",
        "controls",
        "An ensemble of five calls",
        _THESIS,
        {"diffusion": _BASE, "five calls": Evaluation("one_call", "ensemble", members=5)},
        _over("diffusion", "five calls"),
        tested=(
            "Mean of the probabilities of five trainings of `one_call`, of seeds s to s + 4; "
            "ensembles of neighbouring seeds share members."
        ),
        plot="ari",
    ),
    Claim(
        "pix2seq",
        "controls",
        "pix2seq-D: a softmax over codes, expected bits",
        "A final tanh is crucial for discrete data (abstract); pix2seq-D has a softmax over the "
        "codes in its place.",
        {
            "tanh on bits": _BASE,
            **{
                f"softmax, td {td}": Evaluation(
                    "pix2seq", f"td{td}", {"method": method, "guidance_weight": 0.5}
                )
                for td, method in (
                    (0, "ddim"),
                    (1, "bitdiff_jax.repro.controls.pix2seq:ONE"),
                    (2, "bitdiff_jax.repro.controls.pix2seq:TWO"),
                )
            },
            "tanh on bits, ddim": Evaluation("base", "ddim", {"method": "ddim"}),
        },
        _over("tanh on bits, ddim", "softmax, td 0", "softmax, td 1", "softmax, td 2"),
        tested=(
            "The same trunk with 64 softmax outputs, cross entropy, expected bits in the sampler, "
            "and time differences td of 0, 1 and 2 steps; both with DDIM."
        ),
        plot="ari",
    ),
    Claim(
        "query_masks",
        "controls",
        "Query masks on the same trunk",
        "The model does not yet surpass leading mask-based architectures (abstract); that a mean "
        "prediction cannot do it is said of codes, not of masks.",
        {"diffusion": _BASE, "query masks": Evaluation("query_masks")},
        _over("diffusion", "query masks"),
        tested=(
            "32 class-agnostic queries on the same U-Net, matched to regions one to one, trained "
            "by cross entropy and Dice as in Mask2Former, for as many steps."
        ),
        plot="ari",
    ),
    Claim(
        "prob_unet",
        "controls",
        "A probabilistic U-Net",
        "Diffusion models ambiguity in a principled way, which mask-based models lack (abstract).",
        {
            "diffusion": _BASE,
            "probabilistic U-Net": Evaluation("prob_unet"),
            "diffusion, 16": _SIXTEEN,
            "probabilistic U-Net, 16": Evaluation(
                "prob_unet", "votes16", num_samples=16, num_images=100
            ),
        },
        (
            *_over("diffusion", "probabilistic U-Net"),
            Comparison("diffusion, 16:ari_best", "probabilistic U-Net, 16:ari_best"),
        ),
        tested=(
            "`one_call` with a latent of six numbers for the picture; one sample, and the best of "
            "16 of 100 scenes."
        ),
        plot="ari",
    ),
)
