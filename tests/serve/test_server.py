"""What the server gives away, and to whom; with gradio, without a browser."""

import concurrent.futures
import gc
import http.client
import io
import json
import pathlib
import re
import socket
import time
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
import pytest
from PIL import Image

from bitdiff_jax.errors import InputError
from bitdiff_jax.serve import server
from bitdiff_jax.serve.limits import Limits
from bitdiff_jax.serve.links import Settings
from bitdiff_jax.serve.result_view import ResultView
from bitdiff_jax.serve.service import Service, example_key
from tests.inference import tiny
from tests.serve import serving

pytest.importorskip("gradio")
pytestmark = pytest.mark.slow
_EXAMPLE_INPUT = b"https://raw.githubusercontent.com/gradio-app/gradio/main/test/test_files/bus.png"


@pytest.fixture(scope="module")
def page(segmenter):
    service = Service(segmenter, Limits(max_bytes=300_000, max_pixels=200_000, max_samples=8))
    with serving.served(service) as url:
        yield service, url


def get(url):
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


def upload(url, data, name="x.png"):
    boundary = "b0undary"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
        "Content-Type: image/png\r\n\r\n"
    ).encode() + data + f"\r\n--{boundary}--\r\n".encode()  # fmt: skip
    request = urllib.request.Request(
        f"{url}/gradio_api/upload",
        body,
        {"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())[0]


def png(height=30, width=40):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, format="png")
    return buffer.getvalue()


def test_the_page_names_no_other_host_and_tells_nobody(page):
    _, url = page
    status, html, _ = get(url)
    assert status == 200
    # No browser fetches texts for the previews of links, or the API's documented examples.
    texts = re.sub(rb'<meta[^>]*content="https://[^"]*"[^>]*>', b"", html)
    texts = texts.replace(_EXAMPLE_INPUT, b"")
    assert not set(re.findall(rb"(?:https?:)?//([a-z0-9.-]+\.[a-z]{2,})", texts))
    config = json.loads(get(f"{url}/config")[1])
    assert config["analytics_enabled"] is False and not config["stylesheets"]
    assert "@import" not in get(f"{url}/theme.css")[1].decode()


def test_files_of_the_server_and_of_others_are_not_given(page):
    _, url = page
    place = upload(url, png())
    for path in (
        "/etc/passwd",
        __file__,
        str(pathlib.Path(place).parent),
        str(pathlib.Path(place).parents[1]),
        str(pathlib.Path(place).parents[1] / ("0" * 64) / "x.png"),
    ):
        status, _, _ = get(f"{url}/gradio_api/file={urllib.parse.quote(path)}")
        assert status in (403, 404), path
    # What is given away needs a name that is made of the image's own bytes.
    assert len(pathlib.Path(place).parent.name) == 64


def test_a_download_needs_a_key(page):
    service, url = page
    key = service.draw(example_key("cat"), Settings(num_samples=2))
    status, data, headers = get(f"{url}/download/{key}/id_png")
    assert status == 200 and data.startswith(b"\x89PNG") and headers["Cache-Control"] == "no-store"
    assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''cat_labels.png"
    status, text, headers = get(f"{url}/download/{key[:-1]}/id_png")
    assert status == 400 and b"not kept any more" in text and b"\n" not in text
    assert headers["Content-Type"].startswith("text/plain")
    status, text, _ = get(f"{url}/download/{key}/os:system")
    assert status == 400 and b"'os:system' is not known" in text


def test_an_upload_that_is_too_large_is_refused_while_it_comes(page):
    _, url = page
    with pytest.raises(urllib.error.HTTPError) as caught:
        upload(url, bytes(400_000))
    assert caught.value.code == 413


def test_the_server_fetches_no_address(page):
    client = pytest.importorskip("gradio_client")
    _, url = page
    asked = socket.create_server(("127.0.0.1", 0))
    asked.settimeout(2)
    address = f"http://127.0.0.1:{asked.getsockname()[1]}/x.png"
    api = client.Client(url, verbose=False, analytics_enabled=False)
    image = {"path": address, "meta": {"_type": "gradio.FileData"}, "orig_name": "x.png"}
    with pytest.raises(Exception, match="Send the image itself"):
        api.predict(image, 1, 0, "", "", api_name="/segment")
    with pytest.raises(TimeoutError):
        asked.accept()


def test_a_client_draws_and_bad_input_is_a_sentence(page, tmp_path):
    client = pytest.importorskip("gradio_client")
    _, url = page
    api = client.Client(url, verbose=False, analytics_enabled=False)
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "b.pdf").write_bytes(b"%PDF-1.7 nothing")
    for name, says in (("b.pdf", "b.pdf: not an image file"), ("a.png", "a: ")):
        told = api.predict(
            client.handle_file(str(tmp_path / name)), 2, 0, "", "", api_name="/segment"
        )
        assert says in str(told[0])


def test_many_requests_lose_none_and_keep_no_more_than_they_may(segmenter, tmp_path):
    """In a row and at once; benchmarks/robustness/serve_load.py sends more of them."""
    client = pytest.importorskip("gradio_client")
    service = Service(segmenter, Limits(max_samples=2, memory=100_000))
    paths = [tmp_path / f"image{k}.png" for k in range(18)]
    for k, path in enumerate(paths):
        Image.fromarray(tiny.image(24, 32, seed=k)).save(path)

    def ask(api, path):
        told = api.predict(client.handle_file(str(path)), 2, 0, "", "", api_name="/segment")
        return f"{path.stem}: " in str(told[0])

    with serving.served(service) as url:
        apis = [client.Client(url, verbose=False, analytics_enabled=False) for _ in range(6)]
        assert all(ask(apis[0], path) for path in paths[:12])
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            assert all(pool.map(ask, apis, paths[12:]))
        gc.collect()
        views = [each for each in gc.get_objects() if type(each) is ResultView]
        views = [each for each in views if each.full.name.startswith("image")]
        assert views and sum(each.nbytes for each in views) <= service.limits.memory


def test_who_waits_longer_than_files_are_kept_is_drawn(segmenter, tmp_path, monkeypatch):
    client = pytest.importorskip("gradio_client")
    service = Service(segmenter)
    receive, remove_old = service.receive, server.remove_old

    def slow(path, name):
        time.sleep(4)
        return receive(path, name)

    monkeypatch.setattr(service, "receive", slow)
    monkeypatch.setattr(server, "_SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(server, "remove_old", lambda folder, _, *rest: remove_old(folder, 3, *rest))
    paths = [tmp_path / f"image{k}.png" for k in range(3)]
    for k, path in enumerate(paths):
        Image.fromarray(tiny.image(24, 32, seed=k)).save(path)

    def ask(api, path):
        told = api.predict(client.handle_file(str(path)), 1, 0, "", "", api_name="/segment")
        return str(told[0])

    with serving.served(service) as url:
        apis = [client.Client(url, verbose=False, analytics_enabled=False) for _ in paths]
        with concurrent.futures.ThreadPoolExecutor(len(paths)) as pool:
            told = list(pool.map(ask, apis, paths))
    for path, text in zip(paths, told, strict=True):
        assert f"{path.stem}: " in text and "region" in text


def test_it_listens_where_it_is_told_alone():
    with server.listening("127.0.0.1", 0) as found:
        host, port = found.getsockname()
        assert host == "127.0.0.1"
        taken = pytest.raises(InputError, match=f"--port {port}: cannot be listened on")
        with taken, server.listening("127.0.0.1", port):
            pass
    with pytest.raises(InputError, match="name another port"), server.listening("127.0.0.1", -1):
        pass


def test_temporary_files_are_gone_with_the_server(segmenter):
    with serving.served(Service(segmenter)) as url:
        place = pathlib.Path(upload(url, png()))
        connection = http.client.HTTPConnection(url.removeprefix("http://"))
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
    assert not place.exists() and not place.parents[1].exists()
