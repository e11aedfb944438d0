"""The PyTorch twin computes what ours does: networks, loss, gradients, optimizer, sampler."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from benchmarks.against_peers import problem
from bitdiff_jax import config as config_lib
from bitdiff_jax import model_config
from bitdiff_jax.diffusion import sampling
from bitdiff_jax.diffusion.sampler import Sampler
from bitdiff_jax.nets.encoders import registry
from bitdiff_jax.training.optimizer import make_optimizer

pytestmark = pytest.mark.slow

torch = pytest.importorskip("torch")

from benchmarks.against_peers import torch_programs, torch_twin, twin_check  # noqa: E402


def small(name):
    """The config's network, narrower and shallower, with all of its switches."""
    config = problem.config(name)
    net = config.model.net
    net.base_channels = 32
    net.blocks_per_level = 1
    net.channel_multipliers = tuple(dict.fromkeys(net.channel_multipliers))
    config.model.image_size = 16 if name in ("paper", "base", "entities") else 32
    if config.model.encoder.name != "none":
        config.model.encoder.image_size, config.model.encoder.grid = 64, 8
    return config


@functools.cache
def reference(name):
    return twin_check.reference(small(name), batch_size=2)


@pytest.mark.parametrize("name", config_lib.names())
def test_output_loss_and_gradients(name):
    ours = reference(name)
    for attention, channels_last in twin_check.VARIANTS:
        found = twin_check.errors(ours, attention=attention, channels_last=channels_last)
        assert max(found) < twin_check.TOLERANCE, found


def test_a_wrong_network_is_seen():
    ours = reference("quickstart")
    params = jax.tree.map(np.copy, ours.params)
    params["middle_res_0"]["conv_1"]["bias"][0] += 0.01
    ours = ours._replace(params=params)
    assert twin_check.errors(ours, attention="fused", channels_last=True).output > 1e-4


def test_the_paper_has_as_many_parameters():
    net = torch_programs.make_net(problem.config("paper"))
    assert sum(p.numel() for p in net.parameters()) == 38_496_262


def test_clip_adamw_and_average():
    config = small("quickstart")
    config.optimizer.weight_decay = 0.01
    config.optimizer.warmup_steps = config.optimizer.decay_steps = 0
    model = model_config.from_config(config)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    params, tx = problem.params(shapes), make_optimizer(config)
    net = torch_programs.make_net(config)
    torch_twin.load(net, params)
    step = torch_programs.TrainStep(config, net)
    opt_state, ema, update = jax.jit(tx.init)(params), params, jax.jit(tx.update)
    for seed in range(3):
        grads = problem.params(shapes, seed + 1)
        for name, value in torch_twin.flat(grads).items():
            parameter = net.get_parameter(name)
            # In the parameter's own layout, which the fused optimizer relies on, as autograd does.
            parameter.grad = torch.empty_like(parameter).copy_(torch.from_numpy(np.array(value)))
        step.update()
        updates, opt_state = update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        # torch's average starts at the parameters after the first step.
        decay = config.optimizer.ema_decay if seed else 0.0
        ema = optax.incremental_update(params, ema, 1 - decay)
    for tree, module in ((params, net), (ema, step.ema.module)):
        theirs = dict(module.named_parameters())
        for name, value in torch_twin.flat(tree).items():
            np.testing.assert_allclose(theirs[name].detach().numpy(), value, atol=2e-6)


def test_a_step_lowers_the_loss():
    config = small("quickstart")
    torch.manual_seed(0)
    step = torch_programs.TrainStep(config, torch_programs.make_net(config))
    image = torch.zeros(2, 32, 32, 3, dtype=torch.uint8)
    x0 = torch.ones(2, 32, 32, config.model.num_bits)
    losses = [step(image, x0, torch.ones(2, 32, 32)) for _ in range(8)]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(("name", "together"), [("posterior", True), ("photos", False)])
def test_the_sampler(name, together):
    config = small(name)
    model = model_config.from_config(config)
    params = problem.params(jax.eval_shape(model.init, jax.random.key(0)))
    data = problem.batch(2, 32, image_scale=model.image_scale)
    features = problem.features(config, 2)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((4, 2, 32, 32, config.model.num_bits)).astype(np.float32)
    cond = model.encode_image(
        params, jnp.asarray(data.image), jnp.ones((2, 32, 32), bool), features
    )
    ours = sampling.sample(
        lambda x, t, c: model.apply(params, x, t, c),
        jnp.asarray(noise[3]),
        cond,
        Sampler(4, 1.0),
        schedule=model.schedule,
        noise=jnp.asarray(noise[:3]),
    )
    net = torch_programs.make_net(config).eval()
    torch_twin.load(net, params)
    theirs = torch_programs.sample(
        net,
        config,
        torch.from_numpy(data.image),
        torch.from_numpy(noise[3]),
        torch.from_numpy(noise[:3]),
        num_steps=4,
        guidance_weight=1.0,
        together=together,
        features=None if features is None else torch.from_numpy(features),
    )
    np.testing.assert_allclose(theirs.numpy(), ours, atol=1e-4)
    codes, certainty = torch_programs.decode(theirs)
    np.testing.assert_array_equal(codes, model.encoding.decode(jnp.asarray(theirs.numpy())))
    wanted = model.encoding.certainty(jnp.asarray(theirs.numpy()))
    np.testing.assert_allclose(certainty, wanted, atol=1e-5)


def test_the_image_is_shown_at_its_scale_and_the_label_map_is_the_same():
    small_one, large = problem.batch(1, 16), problem.batch(1, 16, image_scale=2)
    assert large.image.shape == (1, 32, 32, 3)
    assert large.labels.shape == small_one.labels.shape == (1, 16, 16)
    whole = problem.batch(1, 32)
    np.testing.assert_array_equal(large.image, whole.image)
    np.testing.assert_array_equal(large.labels, whole.labels[:, ::2, ::2])


def test_features_are_like_those_of_the_encoders():
    for name, (image_size, stride, channels) in problem.ENCODERS.items():
        encoder = registry.make(name)
        known = encoder.image_size, encoder.stride, encoder.channels
        assert known == (image_size, stride, channels)
    config = small("photos")
    features, cells = problem.features(config, 2), problem.cells(config, 2)
    assert features.shape == (2, 8, 8, 256) and features.dtype == np.float16
    assert cells["cell_values"].shape == (2, 4, 4, 256)
    assert cells["cell_values"].dtype == np.int8
    values = cells["cell_values"] * cells["cell_scale"][:, None, None]
    for each in (features, values):
        assert np.std(config.model.encoder.scale * each) == pytest.approx(1, rel=0.05)
    assert (problem.cells(small("bsds"), 2), problem.features(small("bsds"), 2)) == ({}, None)


@pytest.mark.parametrize("builder", ["build_train_step", "build_sampler"])
def test_both_programs_run_with_an_encoders_features(builder, monkeypatch):
    from benchmarks.against_peers import jax_programs

    # They are for the start of a process, not for one of tests.
    monkeypatch.setattr(jax_programs.dispatch, "split_cpu", lambda count: None)
    monkeypatch.setattr(jax_programs.compilation_cache, "enable", lambda: None)
    variant = {"layout": "channels_last", "attention": "fused"}
    getattr(jax_programs, builder)("photos:smoke", 2).run()
    getattr(torch_programs, builder)("photos:smoke", 2, **variant).run()


def test_what_the_twin_does_not_know_is_an_error():
    config = small("photos")
    config.model.encoder.name = "dinov2_s"
    with pytest.raises(ValueError, match=r"config\.model\.encoder\.name is 'dinov2_s'"):
        torch_programs.make_net(config)
    config = problem.config("paper")
    config.model.encoding = "rgb"
    with pytest.raises(ValueError, match=r"config\.model\.encoding is 'rgb'"):
        torch_programs.make_net(config)
    net = torch_programs.make_net(small("quickstart"))
    with pytest.raises(ValueError, match="build both from one config"):
        torch_twin.load(net, {"stem": {"kernel": np.zeros((3, 3, 9, 32))}})
