"""Signs that a drawn segmentation is not to be trusted, each with its reason in one line."""

import numpy as np

# A model draws as many regions as there are codes only where it has run out of them: a map that
# uses nearly all is told as one that uses all.
CODES_SHARE = 0.95
# Measured with a small model of textured scenes (32 x 32, 1,100 steps, four samples an image): one
# of 32 unseen scenes is below one of these, all of 16 images of noise and 15 of 16 photos are below
# both. Mean agreement was .48 to .85 on scenes, .23 to .50 on noise, .29 to .55 on photos; mean
# confidence .60 to .79, .43 to .59, and .50 to .65.
# What agreement is usual goes with the sampler, and with how much people differ: of four samples of
# `photos` on 40 images of BSDS500 val, a kind that it was trained on, it had the median .34 without
# guidance at temperature 1 (82 % below .5), .49 at guidance 1 (52 %), .66 at guidance 1 and
# temperature .5 (18 %); on seven images of noise, without guidance, it was .22, .29, .44, .56, .62,
# .70 and .77. So of samples without guidance it is no sign, and nothing is said; at guidance 1 and
# temperature 1 it is a weak one, and at a low temperature its absence says little. Confidence was
# .53 to .86, .60 to .90 and .63 to .93 on the photos, and .84 to .92 on the noise.
LOW_AGREEMENT = 0.5
LOW_CONFIDENCE = 0.6


def warnings(
    maps: np.ndarray,
    certainty: np.ndarray,
    agreement: np.ndarray | None,
    num_codes: int | None,
    guided: bool,
) -> tuple[str, ...]:
    """Why the maps of one image are not to be trusted; none of these signs proves that they are.

    Args:
        maps: integers [n, h, w], one a sample; each distinct number is a region.
        certainty: float [n, h, w] in (0, 1], how clearly each pixel's code was decided.
        agreement: float [h, w] in [0, 1], how much the samples agree; None for a single one.
        num_codes: regions that the model can tell apart; None if that is not known.
        guided: the samples were drawn with guidance. Without, they are to differ as the readings of
            the image do, and that they disagree is no fault.

    Returns:
        A line a sign, () without one.
    """
    found = []
    used = max(len(np.unique(each)) for each in maps)
    if num_codes is not None and used >= CODES_SHARE * num_codes:
        found.append(
            f"{used} of the model's {num_codes} codes are in use: the image may have more regions "
            "than it can tell apart, or it found none; segment parts of the image"
        )
    if guided and agreement is not None and (mean := float(agreement.mean())) < LOW_AGREEMENT:
        found.append(
            f"the samples disagree (mean agreement {mean:.2f}, below {LOW_AGREEMENT}): the model "
            "is undecided, or was not trained on images of this kind"
        )
    if (mean := float(certainty.mean())) < LOW_CONFIDENCE:
        found.append(
            f"codes are not clearly decided (mean confidence {mean:.2f}, below {LOW_CONFIDENCE}): "
            "the model is trained too little, or not on images of this kind"
        )
    return tuple(found)
