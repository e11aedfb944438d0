import errno

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


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free space, or name another folder"),
        (errno.EROFS, "name a folder on a disk that can be written"),
        (errno.EACCES, "change its permissions, or name another folder"),
        (errno.EIO, "name another folder"),
    ],
)
def test_the_remedy_is_that_of_the_fault(tmp_path, monkeypatch, number, remedy):
    def fail(self, *args, **kwargs):
        raise OSError(number, "why")

    path_type = type(files.epath.Path(tmp_path))
    monkeypatch.setattr(path_type, "write_bytes", fail)
    monkeypatch.setattr(path_type, "unlink", fail)
    for call in (lambda: files.write(tmp_path / "a", b""), lambda: files.remove(tmp_path / "a")):
        with pytest.raises(InputError, match=rf"a: cannot be \w+ \(why\); {remedy}$"):
            call()


def test_one_writer_at_a_time(tmp_path):
    with (
        files.sole_writer(tmp_path, "--out"),
        pytest.raises(InputError, match=r"--out .*another process is writing there; wait"),
        files.sole_writer(tmp_path, "--out"),
    ):
        pass
    with files.sole_writer(tmp_path, "--out"):
        assert not list(tmp_path.iterdir())


def test_removing_a_file_that_may_not_be_there(tmp_path):
    (tmp_path / "a").write_text("")
    for _ in range(2):
        files.remove(tmp_path / "a")
        assert not list(tmp_path.iterdir())


def test_a_folder_is_made_with_those_above_it_and_may_be_there(tmp_path):
    for _ in range(2):
        assert files.make_folder(tmp_path / "a" / "b", "--out").is_dir()


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_in_the_way_is_named_with_the_argument(tmp_path, below):
    (tmp_path / "a").write_text("")
    with pytest.raises(InputError, match=r"^--out .*: is a file or inside one; name a folder$"):
        files.make_folder(tmp_path / "a" / below, "--out")


def test_a_folder_without_a_name():
    with pytest.raises(InputError, match="--out is empty; name a folder"):
        files.make_folder("", "--out")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_texts_are_read_in_any_encoding_that_says_what_it_is(tmp_path, encoding):
    (tmp_path / "a.json").write_bytes('["é"]'.encode(encoding))
    assert files.read_text(tmp_path / "a.json") == '["é"]'
    assert files.read_json(tmp_path / "a.json") == ["é"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("é".encode("latin-1"), "is not text in UTF-8; save it"),
        (b"a\0b", "is not text"),
        (b"\xff\xfea", "is not text"),
        (b"{", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
    ],
)
def test_what_is_no_text_or_no_json_is_an_error_of_one_line(tmp_path, data, words):
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(InputError, match=rf"a\.json: {words}") as error:
        files.read_json(tmp_path / "a.json")
    assert "\n" not in str(error.value)


def test_a_text_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"a\.txt: no such file"):
        files.read_text(tmp_path / "a.txt")


def test_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.at_home("~/a") == f"{tmp_path}/a" and files.at_home("b/~") == "b/~"
    assert files.at_home("gs://bucket/~a") == "gs://bucket/~a"
    files.make_folder("~/made", "--out")
    assert (tmp_path / "made").is_dir()
