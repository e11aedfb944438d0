"""docs/coverage.md: every system that the paper names has a row, or a reason."""

import pathlib
import re

import pytest

from bitdiff_jax.repro.catalogue import CLAIMS

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "coverage.md"
SYSTEMS = (
    "Self-conditioning", "Recycling", "SegDiff", "UViT", "SiD2: shift", "VDM", "distillation",
    "CropFormer", "MedSegDiff", "Wolleb", "Laplace", "OneFormer", "Latent", "pix2seq-D", "UniGS",
    "Mask2Former", "Probabilistic U-Net", "Ensembles", "SAM", "One-hot",
)  # fmt: skip


def table():
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_is_there(system):
    assert any(system in name for name, *_ in table())


@pytest.mark.parametrize("line", table(), ids=lambda line: line[0])
def test_a_row_names_a_claim_or_says_why_not(line):
    name, source, what, row = line
    assert name and source
    if row == "declined":
        assert len(what.split()) > 8, f"{name} has no reason"
        return
    claim = re.fullmatch(r"`(\w+)`", row)
    assert claim and claim[1] in CLAIMS, row
    assert not CLAIMS[claim[1]].not_run


def test_claims_that_reasons_point_to_are_there():
    named = {name for line in table() for name in re.findall(r"by `(\w+)`", line[2])}
    assert named == {"fig4", "fig6"}
