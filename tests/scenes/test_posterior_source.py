"""The source: what items promise, that training gets fresh draws, and what is held out."""

import pickle

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist

from bitdiff_jax.data import pipeline, specs
from bitdiff_jax.errors import InputError
from bitdiff_jax.scenes import posterior_cues, posterior_plan, posterior_render
from bitdiff_jax.scenes.posterior_source import KINDS, PosteriorSource


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [32, 48])
def test_an_item_is_what_sources_promise(kind, size):
    item = PosteriorSource(kind, size=size, seed=5)[12]
    assert item["name"] == f"posterior-{kind}-s5-00000012"
    assert item["image"].shape == (size, size, 3) and item["image"].dtype == np.uint8
    assert len(item["labels"]) == 8
    for labels in (*item["labels"], item["draw"](np.random.default_rng(0))):
        assert labels.shape == (size, size) and labels.dtype == np.int32
        np.testing.assert_array_equal(np.unique(labels), np.arange(labels.max() + 1))


def test_an_item_is_a_pure_function_of_its_index():
    source = PosteriorSource(seed=3)
    again = pickle.loads(pickle.dumps(source))
    assert repr(again) == repr(source)
    forward = [source[i] for i in range(6)]
    for i in (5, 0, 3):
        item = again[np.int64(i)]
        np.testing.assert_array_equal(item["image"], forward[i]["image"])
        np.testing.assert_array_equal(np.stack(item["labels"]), np.stack(forward[i]["labels"]))
    others = [PosteriorSource(seed=4), PosteriorSource(seed=3, held_out=True),
              PosteriorSource("pairs", seed=3)]  # fmt: skip
    items = forward + [other[0] for other in others]
    assert len({item["image"].tobytes() for item in items}) == 9
    assert len({item["name"] for item in items}) == 9


def test_the_length_bounds_the_index():
    source = PosteriorSource("border", length=2)
    assert len(source) == len(list(source)) == 2
    for index in (-1, 2):
        with pytest.raises(IndexError, match="2 scenes"):
            source.scene(index)


@pytest.mark.parametrize(
    "bad",
    [{"kind": "both"}, {"size": 31}, {"seed": -1}, {"length": 0}, {"held_out": 2}],
)
def test_bad_arguments_are_named(bad):
    ((name, value),) = bad.items()
    with pytest.raises(InputError, match=f"{name}={value}"):
        PosteriorSource(**bad)


def test_specs_open_it():
    source = specs.open_source("posterior,kind=switch,seed=2,held_out=1", image_size=40)
    assert repr(source) == repr(PosteriorSource("switch", 40, seed=2, held_out=True))
    (only,), _ = specs.open_sources("posterior,length=9", image_size=32)
    assert only == "posterior:,length=9"
    for spec, message in [
        ("posterior,level=1", "no option level"),
        ("posterior,kind=one", "kind=one"),
        ("posterior,held_out=yes", "held_out=yes"),
    ]:
        with pytest.raises(InputError, match=message):
            specs.open_source(spec, image_size=32)


def test_training_sees_a_fresh_draw_at_each_visit_in_the_right_proportions():
    scene = PosteriorSource("clutter", seed=1).scene(0)
    source = [PosteriorSource("clutter", seed=1)[0]]

    def batches(start_step):
        dataset = pipeline.train_dataset(
            {"a": source}, {"a": 1.0}, size=32, batch_size=50, seed=0, num_threads=0,
            start_step=start_step,
        )  # fmt: skip
        return iter(dataset)

    stream = batches(0)
    drawn = [next(stream) for _ in range(20)]
    assert all((batch["image"] == scene.image).all() for batch in drawn)
    labels = np.concatenate([batch["labels"] for batch in drawn])
    match = [(labels == partition).all((1, 2)) for partition, _ in scene.posterior()]
    counts = np.sum(match, axis=1)
    assert counts.sum() == 1000
    assert stats.chisquare(counts, 1000 * scene.probabilities).pvalue > 1e-4
    # Resumed in the middle it goes on with the same draws.
    np.testing.assert_array_equal(next(batches(7))["labels"], drawn[7]["labels"])


def _combination(scene):
    """Levels as measured, with the forms that can be counted."""
    parts = []
    for choice in scene.choices:
        counted = {"switch": choice.options[0], "clutter": choice.options[1]}
        parts.append((posterior_cues.level(choice), len(counted.get(choice.kind, ()))))
    return tuple(sorted(parts))


@pytest.mark.parametrize("kind", ["pairs", "switch", "clutter"])
def test_held_out_combinations_are_never_shown_otherwise(kind):
    shown, held = (
        {_combination(PosteriorSource(kind, held_out=side).scene(i)) for i in range(150)}
        for side in (False, True)
    )
    assert not shown & held and len(held) >= 3
    # Each level and each form of the one side is on the other too.
    for k in (0, 1):
        assert {part[k] for parts in held for part in parts} <= {
            part[k] for parts in shown for part in parts
        }


@pytest.mark.parametrize("kind", KINDS)
def test_noise_moves_no_cue_to_another_level(kind):
    rng = np.random.default_rng(0)
    for i in range(60):
        plan = posterior_plan.draw(rng, kind, bool(i % 2))
        assert posterior_plan.is_held_out(plan.parts) == bool(i % 2)
        drawing = posterior_render.render(rng, plan, 32)
        choices = posterior_cues.measure(drawing.image, drawing.atoms, drawing.groups)
        planned = sorted((part.kind, part.level) for part in plan.parts)
        assert sorted((c.kind, posterior_cues.level(c)) for c in choices) == planned


def test_heaps_can_be_told_apart():
    for i in range(60):
        scene = PosteriorSource("clutter", seed=3).scene(i)
        heaps = [
            np.array(
                [np.argwhere(scene.atoms == atom).mean(axis=0) for (atom,) in choice.options[1]]
            )
            for choice in scene.choices
        ]
        nearest = [np.sort(cdist(heap, heap), axis=1)[:, 1].max() for heap in heaps]
        if len(heaps) == 2:
            assert cdist(*heaps).min() > 1.15 * max(nearest)


def test_a_mixed_image_has_several_choices_and_few_partitions():
    scenes = [PosteriorSource(seed=8).scene(i) for i in range(150)]
    kinds = [{choice.kind for choice in scene.choices} for scene in scenes]
    assert min(map(len, kinds)) >= 2 and set().union(*kinds) == set(posterior_cues.SCALES) | {
        "border"
    }
    assert max(len(scene.probabilities) for scene in scenes) == 64
