import numpy as np
import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.serve.limits import Limits
from bitdiff_jax.serve.links import Settings
from bitdiff_jax.serve.service import Service, example_key, settings_of

TWO = Settings(num_samples=2)


def test_the_same_link_draws_the_same_and_as_the_segmenter_does(service, segmenter, photo):
    key = service.receive(photo, "blocks.png")
    first, second = (service.view(service.draw(key, TWO)) for _ in range(2))
    np.testing.assert_array_equal(first.full.codes, second.full.codes)
    np.testing.assert_array_equal(first.full.codes, segmenter(photo, 2, batch_size=4).codes)
    other = service.view(service.draw(key, Settings(num_samples=2, seed=1)))
    assert (other.full.codes != first.full.codes).any()


def test_stages_are_told_in_order(service, photo):
    told = []
    key = service.receive(photo, "blocks.png")
    service.draw(key, Settings(num_samples=6), lambda *stage: told.append(stage))
    shares = [share for share, _ in told]
    assert shares == sorted(shares) and shares[0] > 0 and shares[-1] < 1
    texts = [text for _, text in told]
    assert texts[:2] == ["reading the image", "encoding the image"]
    assert [each for each in texts if each.startswith("drawing")] == [
        "drawing: 0 of 6 samples",
        "drawing: 4 of 6 samples",
    ]


def test_two_visitors_have_keys_of_their_own(service, photo):
    keys = {service.receive(photo, "blocks.png") for _ in range(2)}
    results = {service.draw(key, TWO) for key in keys}
    assert len(keys) == len(results) == 2 and not keys & results
    with pytest.raises(InputError):
        service.view(keys.pop())  # the key of an image opens no result


def test_what_is_forgotten_is_told_in_a_sentence(segmenter, photo):
    forgetful = Service(segmenter, Limits(keep_seconds=0))
    key = forgetful.receive(photo, "blocks.png")
    with pytest.raises(InputError, match="the link has expired: this server keeps an image for 0"):
        forgetful.draw(key, TWO)
    result = forgetful.draw(example_key("cat"), Settings(num_samples=1))
    with pytest.raises(InputError, match="this result is not kept any more"):
        forgetful.view(result)


def test_examples_do_not_expire_and_are_all_that_is_read_by_name(service):
    assert {"cat", "coffee"} <= set(service.examples)
    for name in ("dog", "../README", "/etc/passwd"):
        with pytest.raises(InputError, match="there is no example"):
            service.draw(example_key(name), TWO)


def test_settings_beyond_the_limits(service, photo):
    key = service.receive(photo, "blocks.png")
    with pytest.raises(InputError, match="num_samples is 9; it must be from 1 to 8"):
        service.draw(key, Settings(num_samples=9))


def test_changes_belong_to_one_result(service, photo):
    key = service.receive(photo, "blocks.png")
    one, other = service.draw(key, TWO), service.draw(key, TWO)
    service.change(one, lambda now: now.cut(1.0))
    assert service.view(one).label_map.max() == 1
    assert service.view(other).small.criterion is None
    service.forget_answers(one)
    assert service.view(one).small.criterion is None


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ((None, 0, "", ""), "num_samples is None"),
        ((2.5, 0, "", ""), "num_samples is 2.5; give a whole number"),
        ((2, float("inf"), "", ""), "seed is inf"),
        ((2, 0, "", "warm"), "temperature is 'warm'"),
    ],
)
def test_fields_that_are_no_settings(fields, says):
    with pytest.raises(InputError) as caught:
        settings_of(*fields)
    assert says in str(caught.value)


def test_fields():
    assert settings_of(4, 3.0, "", "") == Settings(4, 3)
    assert settings_of(4, 3, "faithful", "0.5") == Settings(4, 3, "faithful", 0.5)
