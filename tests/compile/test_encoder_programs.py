"""The programs of a model with an encoder, lowered for devices that it is split over."""

import json

import pytest

from tests.parallel import launch


@pytest.mark.multiprocess
def test_the_encoder_is_in_the_step_and_the_sampler_is_given_features():
    (stdout,) = launch.succeed([["-m", "tests.compile.lowered_programs"]], devices=8)
    found = json.loads(stdout.splitlines()[-1])
    train, sample = (found[program] for program in ("train", "sample"))
    assert train["partitions"] == sample["partitions"] == 8
    # The image at twice the label map's 32 pixels, and as the encoder sees it.
    assert {"16x64x64x3xui8", "16x32x32xi32", "16x2xi32"} <= set(train["inputs"])
    assert train["inputs"].count("16x64x64x3xui8") == 2
    assert "16x16x16x256xf16" in sample["inputs"] and "16x16x16x256xf16" not in train["inputs"]
    # The encoder's parameters, which the step is given and does not return: its first convolution.
    assert "3x3x3x32xf32" in train["inputs"] and "3x3x3x32xf32" not in sample["inputs"]
