import pytest

from bitdiff_jax import files
from bitdiff_jax.errors import InputError


def test_writing_replaces_the_whole_file_and_leaves_no_other(tmp_path):
    files.write(tmp_path / "a.json", b"old and long")
    files.write(tmp_path / "a.json", b"new")
    assert (tmp_path / "a.json").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    files.write(tmp_path / "a.json", b"old")
    path_type = type(files.epath.Path(tmp_path))

    def fail(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(path_type, "write_bytes", fail)
    with pytest.raises(InputError, match=r"a\.json: cannot be written \(No space left"):
        files.write(tmp_path / "a.json", b"new")
    assert (tmp_path / "a.json").read_bytes() == b"old"


def test_a_folder_is_made_with_those_above_it_and_may_be_there(tmp_path):
    for _ in range(2):
        assert files.make_folder(tmp_path / "a" / "b", "--out").is_dir()


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_in_the_way_is_named_with_the_argument(tmp_path, below):
    (tmp_path / "a").write_text("")
    with pytest.raises(InputError, match=r"^--out .*: is a file or inside one; name a folder$"):
        files.make_folder(tmp_path / "a" / below, "--out")
