"""What `weights` may name, and what is said when there is nothing of that name."""

import sys
import types

import pytest

from bitdiff_jax.errors import InputError
from bitdiff_jax.inference import Segmenter, hub, load, pack, weights_names
from tests.inference import tiny


@pytest.fixture
def box(workdir, tmp_path, monkeypatch):
    """A package that carries the model 'photos' and the weights of an encoder."""
    folder = tmp_path / "box"
    pack(load(workdir), folder / "photos.safetensors")
    (folder / "an_encoder.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    monkeypatch.setattr(weights_names, "_BUNDLED", folder)
    monkeypatch.chdir(tmp_path)
    return folder


class Hub(types.ModuleType):
    """A `huggingface_hub` that raises, or returns a file and notes what it was asked for."""

    def __init__(self, result):
        super().__init__("huggingface_hub")
        self.result, self.asked = result, []

    def hf_hub_download(self, *args, **kwargs):
        self.asked.append((args, kwargs))
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def error_like(*names):
    """An exception whose class and bases have these names, as those of `huggingface_hub` do."""
    kind = Exception
    for name in reversed(names):
        kind = type(name, (kind,), {})
    return kind("401 Client Error.\nmore of it")


def refused(weights, *parts):
    with pytest.raises(InputError) as error:
        load(weights)
    message = str(error.value)
    assert "\n" not in message and message.startswith("weights ")
    for part in parts:
        assert part in message


def test_a_name_is_a_model_of_the_package(box):
    assert list(weights_names.bundled()) == ["photos"]
    assert weights_names.locate("photos") == (box / "photos.safetensors", False)
    assert Segmenter.from_pretrained("photos").trained_on == tiny.TRAINED_ON


def test_folders_and_files_are_found_by_their_paths(box, workdir, tmp_path):
    assert weights_names.locate(workdir).is_checkpoint
    assert weights_names.locate(workdir / "checkpoints").is_checkpoint
    pack(load(workdir), tmp_path / "owner" / "name")
    for path in (tmp_path / "owner" / "name", "owner/name", box / "photos.safetensors"):
        assert not weights_names.locate(path).is_checkpoint
        assert load(path).step == tiny.STEP


def test_a_bundled_name_comes_before_a_folder_of_that_name(box, workdir, tmp_path):
    (tmp_path / "photos").mkdir()  # where somebody keeps photos
    assert weights_names.locate("photos").path == box / "photos.safetensors"
    refused("./photos", "holds no 'checkpoints' folder and no model.safetensors")


def test_unknown_names_list_the_known_ones(box):
    refused("photo", "photo", "did you mean photos?", "(photos)", "--workdir", "OWNER/NAME")
    refused("/no/such/run", "/no/such/run", "no such folder or file", "--workdir")
    refused("", "is empty", "(photos)")


def test_a_path_that_is_not_there_is_no_repository(box, monkeypatch):
    fake = Hub(str(box / "photos.safetensors"))
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    refused(
        "box/phots.safetensors", "no such file; did you mean photos.safetensors?; check the path"
    )
    refused(
        "owner/nothing.safetensors", "no such file; check the path, or give the name of a bundled"
    )
    refused("nothing.safetensors", "no such file; check the path")
    for text in ("a/b/c", "./a", "~/a"):
        refused(text, "no such folder or file; check the path")
    assert fake.asked == []


def test_a_repository_of_a_hub(box, monkeypatch):
    fake = Hub(str(box / "photos.safetensors"))
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    assert load("owner/name").step == tiny.STEP
    assert load("owner/name@v1.0").step == tiny.STEP
    assert fake.asked == [
        (("owner/name", "model.safetensors"), {"revision": None}),
        (("owner/name", "model.safetensors"), {"revision": "v1.0"}),
    ]


def test_what_a_repository_is_called():
    assert hub.parse("owner/na.me-1@refs/pr/1") == ("owner/na.me-1", "refs/pr/1")
    for text in ("owner", "a/b/c", "/a/b", "a/b@", "../..", "./a", "a b/c", "gs://a/b", "~/runs"):
        assert hub.parse(text) is None, text


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["LocalEntryNotFoundError", "EntryNotFoundError"], "cannot be reached"),
        (["ConnectError"], "cannot be reached"),
        (["OfflineModeIsEnabled"], "cannot be reached"),
        (["RepositoryNotFoundError"], "no such repository on Hugging Face, or a private one"),
        (["GatedRepoError", "RepositoryNotFoundError"], "asks for consent"),
        (["RevisionNotFoundError"], "has no revision 'v2'"),
        (["RemoteEntryNotFoundError", "EntryNotFoundError"], "has no model.safetensors"),
        (["HfHubHTTPError"], "cannot be fetched from Hugging Face (401 Client Error. more of it)"),
    ],
)
def test_what_a_hub_refuses_is_one_line(names, message, box, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", Hub(error_like(*names)))
    refused("owner/name@v2", "'owner/name'", message)


def test_a_repository_needs_the_extra(box, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    refused("owner/name", "'owner/name'", "no such folder or file", "bitdiff_jax[hub]")
