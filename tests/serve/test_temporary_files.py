import os
import time

from bitdiff_jax.serve import server


def test_old_files_go_and_new_ones_stay(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "image.png").write_bytes(b"x")
    an_hour_ago = time.time() - 3600
    for path in (tmp_path / "old" / "image.png", tmp_path / "old"):
        os.utime(path, (an_hour_ago, an_hour_ago))
    server.remove_old(str(tmp_path), 60)
    assert not (tmp_path / "old").exists() and (tmp_path / "new" / "image.png").exists()
    server.remove_old(str(tmp_path), 0)
    assert tmp_path.exists() and not list(tmp_path.iterdir())


def test_what_waits_stays_however_old_it_is(tmp_path):
    for name in ("waits", "drawn"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "image.png").write_bytes(b"x")
    waiting = str([{"path": str(tmp_path / "waits" / "image.png")}, 8, 0, "", ""])
    server.remove_old(str(tmp_path), 0, waiting)
    assert (tmp_path / "waits" / "image.png").exists() and not (tmp_path / "drawn").exists()


def test_the_folder_is_the_servers_alone_and_goes_with_it():
    with server.temporary_files() as folder:
        assert os.environ["GRADIO_TEMP_DIR"] == folder
        assert os.stat(folder).st_mode & 0o077 == 0
    assert not os.path.exists(folder) and os.environ.get("GRADIO_TEMP_DIR") != folder
