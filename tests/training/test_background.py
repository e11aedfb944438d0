"""A training on data with a background: its model knows it, and so does its checkpoint."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax import config as config_lib
from bitdiff_jax import model_config
from bitdiff_jax.data import images
from bitdiff_jax.errors import InputError
from bitdiff_jax.training.resume import _check_resumable
from bitdiff_jax.training.setup import prepare


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("nuclei")
    for name in ("images", "labels"):
        (root / name).mkdir()
    for k in range(3):
        ids = np.zeros((32, 32), np.int32)
        ids[4:12, 4 + k : 12 + k], ids[20:30, 16:28] = 1, 2
        Image.fromarray(np.where(ids[..., None], 200, 20).astype(np.uint8).repeat(3, -1)).save(
            root / f"images/{k}.png"
        )
        images.write_labels(root / f"labels/{k}.png", ids)
    return root


def tiny(data):
    config = config_lib.load("base:smoke")
    config.eval.data = ""
    config.data.train = data
    return config


def setup_of(data, **arguments):
    return prepare(tiny(data), **arguments)


@pytest.mark.slow
def test_the_data_turns_it_on(root):
    for zero in ("ignore", "region", "background"):
        setup = setup_of(f"folder:{root},zero={zero}")
        known = zero == "background"
        assert setup.model.palette.background == known
        assert setup.config.model.palette.background == known
        assert setup.about["config"]["model"]["palette"]["background"] == known


def test_the_caller_keeps_their_config(root):
    config = tiny(f"folder:{root},zero=background")
    prepare(config)
    assert not config.model.palette.background


@pytest.mark.slow
def test_one_set_of_a_mixture_is_enough_unless_it_takes_no_part(root):
    data = f"folder:{root},zero=background"
    assert setup_of(f"{data};scenes,level=1").model.palette.background
    assert not setup_of(f"{data},weight=0;scenes,level=1").model.palette.background


@pytest.mark.slow
def test_batches_and_codes_agree(root):
    setup = setup_of(f"folder:{root},zero=background;scenes,level=1")
    stream = setup.open_batches(1)
    batch = next(stream)
    stream.close()
    lowest = {int(labels[labels >= 0].min()) for labels in batch["labels"]}
    assert lowest == {0, 1}  # of nuclei, of scenes
    codes = np.asarray(setup.model.target(batch["labels"], batch["size"]).codes)
    np.testing.assert_array_equal(codes == 0, batch["labels"] == 0)


def test_a_model_of_ones_own_must_know_it(root):
    data = f"folder:{root},zero=background"
    model = model_config.from_config(tiny(data))
    with pytest.raises(InputError, match=r"Palette\(background=True\)"):
        setup_of(data, model=model)
    knowing = dataclasses.replace(
        model, palette=dataclasses.replace(model.palette, background=True)
    )
    assert setup_of(data, model=knowing).model is knowing


def test_a_source_of_ones_own_says_so(root):
    class Own:
        has_background = True

        def __len__(self):
            return 1

        def __getitem__(self, index):
            ids = np.zeros((8, 8), np.int32)
            return {"name": "a", "image": np.zeros((8, 8, 3), np.uint8), "labels": (ids,)}

    assert setup_of("", sources=Own()).model.palette.background


@pytest.mark.slow
def test_a_resumed_run_keeps_its_reading(root, tmp_path):
    knows = setup_of(f"folder:{root},zero=background").about
    does_not = setup_of(f"folder:{root},zero=region").about
    _check_resumable(knows, knows, tmp_path)
    for saved, wanted in ((knows, does_not), (does_not, knows)):
        with pytest.raises(InputError, match=r"model.palette.background=.*zero=background in"):
            _check_resumable(saved, wanted, tmp_path)
    # A checkpoint from before there was the setting.
    del does_not["config"]["model"]["palette"]["background"]
    with pytest.raises(InputError, match=r"model.palette.background=False"):
        _check_resumable(does_not, knows, tmp_path)
    before = {**setup_of(f"folder:{root},zero=region").about}
    _check_resumable(does_not, before, tmp_path)
