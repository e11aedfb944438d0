"""The study of steps: its table, its drawing of a model, and the training that it compares."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.quality import interval_coverage, sampling_of_model, sampling_steps
from benchmarks.quality.planted_errors import with_features
from benchmarks.quality.sampling_settings import Setting
from benchmarks.quality.step_checkpoints import Oblong, Recycled
from bitdiff_jax.data import specs, transforms
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.diffusion.step_methods import Ddim
from bitdiff_jax.inference import loading
from bitdiff_jax.model import Model
from tests.inference import tiny

DATA = "benchmarks.quality.step_checkpoints:Oblong,seed=1,length=3"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return tiny.save_checkpoint(
        tmp_path_factory.mktemp("steps") / "run", tiny.tiny_config(image_size=32)
    )


def test_a_row_of_the_table_is_over_the_images_that_all_its_numbers_of_steps_have():
    def row(n, image, ari):
        return {"denoiser": "m", "setting": "s", "num_steps": n, "image": image, "ari": ari}

    scores = {}
    for each in [
        row(8, 0, 0.5),
        row(8, 1, 0.1),
        row(8, 2, 0.3),
        row(100, 1, 0.2),
        row(100, 2, 0.2),
    ]:
        of = scores.setdefault(sampling_steps.key_of(each), {"ari": {}})
        of["ari"][each["image"]] = each["ari"]
    *_, line = sampling_steps.table(scores)
    name, images, first, last, change = (x.strip() for x in line.split("|")[1:6])
    assert (name, images, first, last) == ("m: s", "2", ".200", ".200")
    assert change.startswith("+.000 [-.100, +.100]")


def test_a_models_maps_are_those_that_its_sampler_draws(workdir):
    drawer = sampling_of_model.Drawer(str(workdir), DATA)
    batch = drawer.batch([2, 0])
    run = sampling_of_model.Run(Setting("", {"method": Ddim()}), 3, 2)
    codes = drawer.draw(run, batch)
    loaded = loading.load(str(workdir))
    images = [transforms.pad_to_square(drawer.source[i]["image"], 32) for i in (2, 2, 0, 0)]
    keys = jnp.stack([jax.random.fold_in(jax.random.key(s), i) for i in (2, 0) for s in (0, 1)])
    sampler = Sampler(3, guidance_weight=None, method=Ddim())
    sizes = jnp.tile(jnp.array([[32, 24]]), (4, 1))
    wanted = loaded.model.sample(loaded.params, jnp.stack(images), sizes, keys, sampler)
    assert (codes[..., 24:] == -1).all() and len(np.unique(codes)) > 2
    agree = codes.reshape(4, 32, 32) == np.asarray(wanted.codes)
    assert agree.mean() > 0.999  # another program adds up in another order


def test_rows_are_not_drawn_twice(workdir, tmp_path, capsys):
    rows = tmp_path / "rows.jsonl"
    settings = [f"{workdir.name}: DDIM, guidance {k}" for k in (0, 1)]
    command = ["--rows", str(rows), "--checkpoint", str(workdir), "--data", DATA]
    command += ["--num_steps", "2", "--batch_size", "1", "--settings", *settings]
    sampling_steps.main([*command, "--num_images", "1"])
    before = rows.read_text()
    sampling_steps.main([*command, "--num_images", "2"])
    assert rows.read_text().startswith(before)
    found = [json.loads(line) for line in rows.open()]
    assert len(found) == 4 and len({(row["image"], row["setting"]) for row in found}) == 4
    assert f"| {settings[0]} | 2 |" in capsys.readouterr().out


def test_recycling_shows_the_network_noise_around_its_own_guess(monkeypatch):
    seen = []

    def apply(self, params, x_t, t, cond, previous=None):
        seen.append((x_t, t))
        return jnp.full_like(x_t, params)

    monkeypatch.setattr(Model, "apply", apply)
    model = Recycled(net=None, image_size=32)
    item = Oblong()[0]
    batch = {
        "image": transforms.pad_to_square(item["image"], 32)[None],
        "labels": jnp.asarray(transforms.pad_to_square(item["labels"][0], 32, -1))[None],
        "size": jnp.array([[32, 24]], jnp.int32),
    }
    draws = model.draw(jax.random.key(0), (1, 32, 32))
    found = model.row_losses(jnp.float32(0.3), batch, draws)
    x_t, t = seen[1]
    alpha, sigma = model.schedule.alpha(t), model.schedule.sigma(t)
    wanted = 0.3 * alpha + sigma * draws.eps[0, :, :24]
    np.testing.assert_allclose(x_t[0, :, :24], wanted, atol=1e-4)
    plain = Model(net=None, image_size=32).row_losses(jnp.float32(0.3), batch, draws)
    np.testing.assert_allclose(found.error, plain.error)  # its aim is the truth all the same


def test_counts_of_a_models_samples_are_of_maps_without_specks(workdir):
    loaded = loading.load(str(workdir))
    source = with_features(specs.open_source(DATA, image_size=32), loaded)
    [(truth, samples)] = interval_coverage.count_cases(loaded, source, [1], 3)
    assert truth[0] == len(np.unique(source[1]["labels"][0])) and samples.shape == (3, 2)
    # Codes of several pieces count once; none of a piece below the threshold is left.
    assert (samples[:, 0] == samples[:, 1]).all() and (truth[0] >= truth[1])
