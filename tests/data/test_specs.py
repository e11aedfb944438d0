import os
import shutil

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.data import images, pipeline, spec_text, specs
from bitdiff_jax.data.resident import Resident
from bitdiff_jax.errors import InputError
from bitdiff_jax.scenes import SceneSource


@pytest.fixture
def folder(tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "images" / "a.png")
    images.write_labels(tmp_path / "labels" / "a.png", np.ones((60, 90), np.int32))
    return tmp_path


@pytest.mark.parametrize(("keep_scale", "shape"), [(0, (60, 90)), (2, (21, 32)), (9, (60, 90))])
def test_images_to_train_on_are_kept_at_a_multiple_of_the_networks_size(folder, keep_scale, shape):
    sources, _ = specs.open_sources(
        f"folder:{folder},zero=region", image_size=16, keep_scale=keep_scale
    )
    (source,) = sources.values()
    assert source[0]["image"].shape == (*shape, 3) and source[0]["labels"][0].shape == shape


def test_images_to_evaluate_on_keep_their_size(folder):
    assert specs.open_source(f"folder:{folder}", image_size=16)[0]["image"].shape == (60, 90, 3)


def test_any_reader_is_a_spec_and_kept_in_memory_for_training(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    (tmp_path / "masks" / "a").mkdir()
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    for k in range(2):
        mask = np.zeros((8, 9), np.uint8)
        mask[4 * k : 4 * k + 4] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / "a" / f"{k}.png")
    (source,) = specs.open_sources(f"masks:{tmp_path}", image_size=16)[0].values()
    assert isinstance(source, Resident) and source.max_side == 32
    assert len(np.unique(source[0]["labels"][0])) == 2
    plain = specs.open_source(f"masks:{tmp_path}", image_size=16)
    assert not isinstance(plain, Resident) and list(plain.names) == ["a"]
    assert pipeline.definition(plain) in pipeline.definition(source)


def test_drawn_images_are_not_kept():
    (source,) = specs.open_sources("scenes,level=0", image_size=32)[0].values()
    assert isinstance(source, SceneSource)


def test_several_sets_with_weights_named_without_them():
    sources, weights = specs.open_sources(
        "scenes,seed=1,level=0; scenes,level=1,weight=.5,size=24 ;", image_size=32
    )
    assert weights == {"scenes:,level=0,seed=1": 1.0, "scenes:,level=1,size=24": 0.5}
    assert [source[0]["image"].shape for source in sources.values()] == [(32, 32, 3), (24, 24, 3)]


def test_any_path_can_be_named(folder, tmp_path):
    for name in (b"a, b;c", b'"x"', b"se\xe9", b" a ", b"k=v", "Zürich".encode()):
        path = os.fsencode(tmp_path.parent) + b"/" + name
        shutil.copytree(os.fsencode(folder), path, dirs_exist_ok=True)
        text = spec_text.write("folder", os.fsdecode(path), {"zero": "region"})
        sources, weights = specs.open_sources(f"{text},weight=2;scenes,level=0", image_size=16)
        assert len(sources) == 2 and specs.open_source(text, image_size=16)[0]["name"] == "a"
        print_out = pipeline.fingerprint(sources, weights, size=16, batch_size=2, seed=0)
        assert len(print_out) == 12 and all(each.encode() for each in sources)


def test_one_source_is_one():
    with pytest.raises(InputError, match="names 2 sources; name one"):
        specs.open_source("scenes;scenes,level=1", image_size=16)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no source is given"),
        ("scene", "unknown kind 'scene'.*did you mean scenes?"),
        ("fodler:/x", "unknown kind 'fodler'.*did you mean folder?"),
        ("fodler:x", "no module 'fodler'.*did you mean folder?"),
        ("scenes,level=1,level=2", "says level= twice"),
        (
            "scenes,levels=1",
            "no option levels=1; its options are level, .*did you mean level",
        ),
        ("posterior,held=1", "no option held=1; .*kind, seed, length, size, held_out"),
        ("scenes,level", "'level' in 'scenes,level' is not of the form key=value"),
        ("scenes,level=x", "level=x"),
        ("scenes,weight=a", "weight=a"),
        ("folder", "names no folder"),
        ("voc,split=train", "say voc:DIR"),
        ("folder:x,zeros=1", "no option zeros=1; its options are split, zero.*did you mean zero"),
        ("records:nowhere", "nowhere"),
        ("scenes;scenes", "there twice"),
    ],
)
def test_what_is_wrong_in_a_spec_is_said(text, message):
    with pytest.raises(InputError, match=message) as caught:
        specs.open_sources(text, image_size=32)
    assert "\n" not in str(caught.value)
