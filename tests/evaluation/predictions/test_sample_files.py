"""Whether `ID_0`, `ID_1` are images or maps of one: what is known decides."""

import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.evaluation.predictions.image_names import Names
from bitdiff_jax.evaluation.predictions.sample_files import Written, group

TEN = [f"img_{k}" for k in range(10)]
WHOLE = {stem: [stem] for stem in TEN}
ONE = {"img": TEN}


def grouped(stems, truth=(), **options):
    return group(stems, Names(truth), where="here", **options)


def test_where_both_are_possible_it_is_asked_for():
    with pytest.raises(InputError) as error:
        grouped(TEN)
    message = str(error.value)
    assert message.startswith(
        "here: img_0 to img_9 may be 10 images, or 10 maps of one image 'img'"
    )
    assert "names=whole" in message and "names=sample_suffix" in message and "--names" in message
    assert "\n" not in message
    assert grouped(TEN, reading="whole") == WHOLE
    assert grouped(TEN, reading="sample_suffix") == ONE


@pytest.mark.parametrize(
    ("truth", "expected"),
    [
        (["img"], ONE),
        (["val/img.jpg"], ONE),
        (TEN, WHOLE),
        ([f"{stem}.jpg" for stem in TEN[:3]], WHOLE),
        (["other"], WHOLE),  # missing there under either name
    ],
)
def test_names_of_the_truth_decide(truth, expected):
    assert grouped(TEN, truth) == expected
    other = "whole" if expected is ONE else "sample_suffix"
    if truth != ["other"]:
        assert grouped(TEN, truth, reading=other) == expected


def test_names_of_both_kinds_decide_nothing():
    with pytest.raises(InputError, match="10 maps of one image"):
        grouped(TEN, ["img", "img_3"])
    assert grouped(TEN, ["img", "img_3"], reading="sample_suffix") == ONE


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([Written(("img",))], ONE),
        ([Written(("img",), raw=True)], ONE),
        ([Written(tuple(TEN))], WHOLE),
        ([Written(("img_3.jpg",))], WHOLE),
        # Files with a gap are no samples 0..n-1, on that side either.
        ([Written(("img_0", "img_3"), raw=True)], WHOLE),
        ([Written(tuple(TEN), raw=True)], None),
        ([Written(("img_0",), raw=True)], None),
        ([Written(()), Written(("x",))], None),
        ([Written(("img",)), Written(tuple(TEN))], None),
        ([Written(tuple(TEN), raw=True), Written(("img",), raw=True)], ONE),
    ],
)
def test_names_from_elsewhere(others, expected):
    if expected is None:
        with pytest.raises(InputError, match="names=whole"):
            grouped(TEN, others=others)
    else:
        assert grouped(TEN, others=others) == expected


def test_others_are_not_looked_at_without_need():
    def costly():
        raise AssertionError
        yield

    assert grouped(TEN, ["img"], others=costly()) == ONE
    assert grouped(["a", "b"], others=costly()) == {"a": ["a"], "b": ["b"]}


def test_maps_of_one_image_have_one_size():
    assert grouped(TEN, size=lambda stem: (4, 5 + (stem == "img_7"))) == WHOLE
    for size in ((4, 5), None):
        with pytest.raises(InputError):
            grouped(TEN, size=lambda stem, size=size: size)


def test_a_folder_is_written_in_one_way():
    stems = [*TEN, "a_0", "a_1", "b_0", "c"]
    found = grouped(stems, others=[Written(("a",))])
    assert found == {"c": ["c"], "img": TEN, "a": ["a_0", "a_1"], "b": ["b_0"]}
    sizes = {"a_1": (1, 1)}
    assert grouped(stems, size=lambda stem: sizes.get(stem, (2, 2))) == {s: [s] for s in stems}
    with pytest.raises(InputError, match="img_0 to img_9"):
        grouped([*stems, "d_0", "d_1"], others=[Written(("a", "d_0"))])


@pytest.mark.parametrize(
    "stems", [["a_1", "a_2"], ["a_0", "a_2"], ["f_0000", "f_0001"], ["a", "a_0", "a_1"], ["a_0"]]
)
def test_names_that_are_not_of_samples(stems):
    assert grouped(stems) == {stem: [stem] for stem in stems}


def test_the_truth_confirms_samples_that_are_numbered_otherwise():
    assert grouped(["a_07", "a_3"], ["a"]) == {"a": ["a_3", "a_07"]}
    assert grouped(["a_1_0", "a_1_1"], ["a_1"]) == {"a_1": ["a_1_0", "a_1_1"]}


def test_eleven_samples_are_in_the_order_of_their_numbers():
    stems = sorted(f"a_{k}" for k in range(11))
    assert grouped(stems, ["a"]) == {"a": [f"a_{k}" for k in range(11)]}
