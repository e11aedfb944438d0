"""The plugin without a display: what npe2 makes of it, and what its functions return."""

import importlib
import pathlib
import subprocess
import sys
import types

import numpy as np
import pytest
import yaml

from bitdiff_jax import napari_plugin
from bitdiff_jax.errors import InputError
from bitdiff_jax.napari_plugin import draw_widget
from tests.inference import tiny
from tests.inference.formats import cases

MANIFEST = pathlib.Path(napari_plugin.__file__).parent / "napari.yaml"


def layer(data, rgb=False, contrast_limits=(0, 255)):
    return types.SimpleNamespace(
        data=data,
        rgb=rgb,
        contrast_limits=contrast_limits,
        name="cells",
        scale=np.array([0.5, 0.5]),
        translate=np.array([3.0, 4.0]),
    )


def test_npe2_takes_the_manifest():
    npe2 = pytest.importorskip("npe2")
    manifest = npe2.PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    assert manifest.contributions.widgets[0].autogenerate


def test_the_manifest_names_functions_that_exist():
    found = yaml.safe_load(MANIFEST.read_text())["contributions"]
    commands = {each["id"]: each["python_name"] for each in found["commands"]}
    for python_name in commands.values():
        module, _, name = python_name.partition(":")
        assert callable(getattr(importlib.import_module(module), name))
    used = {each["command"] for kind in ("readers", "widgets") for each in found[kind]}
    assert used == set(commands)


def check_layers(found, image, **placed):
    num_samples = image.num_samples
    kinds = [kind for _, _, kind in found]
    assert kinds == ["image"] * (num_samples > 1) + ["labels"] * (num_samples + 1)
    if num_samples > 1:
        np.testing.assert_array_equal(found[0][0], image.agreement)
        assert found[0][1]["contrast_limits"] == (0, 1)
    np.testing.assert_array_equal([each[0] for each in found[-num_samples - 1 : -1]],
                                  image.label_maps)  # fmt: skip
    np.testing.assert_array_equal(found[-1][0], image.label_map())
    shown = [settings.get("visible", True) for _, settings, _ in found]
    assert shown == [False] * (len(found) - 1) + [True]
    assert len({settings["name"] for _, settings, _ in found}) == len(found)
    for _, settings, _ in found:
        assert placed.items() <= settings.items()


@pytest.mark.parametrize("num_samples", [1, 3])
def test_the_reader_opens_what_segment_writes(num_samples, tmp_path):
    image = cases.segmentation(num_samples=num_samples)
    image.save(tmp_path, ["npz"])
    path = str(tmp_path / "cat_maps.npz")
    check_layers(napari_plugin.get_reader(path)(path), image)
    for other in ("photo.npz", "cat_labels.png", [path, path]):
        assert napari_plugin.get_reader(other) is None


def test_npe2_reads_by_it(tmp_path):
    npe2 = pytest.importorskip("npe2")
    image = cases.segmentation()
    image.save(tmp_path, ["npz"])
    manager = npe2.PluginManager.instance()
    manager.register(npe2.PluginManifest.from_file(MANIFEST))
    try:
        found = npe2.read([str(tmp_path / "cat_maps.npz")], stack=False, plugin_name="bitdiff_jax")
    finally:
        manager.unregister("bitdiff_jax")
    check_layers(found, image)


def test_the_widget_draws_a_layer(segmenter, monkeypatch):
    monkeypatch.setattr(draw_widget, "_segmenter", lambda weights: segmenter)
    pixels = tiny.image(20, 30)
    found = napari_plugin.draw(layer(pixels, rgb=True), 3, seed=1)
    placed = {"scale": (0.5, 0.5), "translate": (3.0, 4.0)}
    check_layers(found, segmenter(pixels, 3, seed=1, name="cells"), **placed)


def test_layers_of_other_types_become_bytes():
    grey = np.array([[100.0, 200.0], [300.0, np.nan]])
    given = draw_widget._as_bytes(layer(grey, contrast_limits=(100, 200)))
    np.testing.assert_array_equal(given, [[0, 255], [255, 0]])
    shares = np.array([[[0.0, 0.5, 1.0]]])
    given = draw_widget._as_bytes(layer(shares, rgb=True, contrast_limits=(0, 0)))
    np.testing.assert_array_equal(given, [[[0, 128, 255]]])
    deep = np.array([[0, 65535]], np.uint16).repeat(3).reshape(1, 2, 3)
    given = draw_widget._as_bytes(layer(deep, rgb=True))
    np.testing.assert_array_equal(given[0, :, 0], [0, 255])


def test_a_stack_is_refused():
    with pytest.raises(InputError, match=r"the layer 'cells' has the shape \(5, 4, 4\)"):
        napari_plugin.draw(layer(np.zeros((5, 4, 4), np.uint8)))


@pytest.mark.multiprocess
def test_importing_the_plugin_is_light():
    code = "import sys, bitdiff_jax.napari_plugin; print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
