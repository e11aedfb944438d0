"""What small programs cost by the compiler's count, against stored figures."""

import copy
import json

import pytest

from benchmarks.predicted import counts

STORED = json.loads(counts.STORED.read_text())


@pytest.mark.slow
def test_small_programs_cost_what_they_did():
    here = counts.versions()
    if STORED["versions"] != here:
        pytest.skip(f"the stored figures are of {STORED['versions']}, here is {here}")
    lines = counts.differences(counts.count(), STORED)
    assert not lines, "\n".join(
        [*lines, "if this is on purpose: python -m benchmarks.predicted.counts --update"]
    )


@pytest.mark.parametrize(
    ("figure", "factor", "seen"),
    [
        ("flops", 1.002, True), ("flops", 0.9995, False), ("bytes", 1.03, True),
        ("bytes", 1.01, False), ("temporaries", 0.97, True), ("temporaries", 0.985, False),
    ],
)  # fmt: skip
def test_what_is_within_the_tolerances(figure, factor, seen):
    found = copy.deepcopy(STORED["programs"])
    assert counts.differences(found, STORED) == []
    name = sorted(found)[0]
    found[name][figure] *= factor
    lines = counts.differences(found, STORED)
    assert len(lines) == seen and all(name in line and figure in line for line in lines)


def test_programs_that_come_and_go_are_told():
    found = copy.deepcopy(STORED["programs"])
    name = sorted(found)[0]
    found["new"] = found.pop(name)
    assert counts.differences(found, STORED) == [
        "new: found, but not stored",
        f"{name}: stored, but not found",
    ]
