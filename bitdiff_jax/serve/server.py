"""The page on a port."""

import asyncio
import contextlib
import importlib
import os
import shutil
import socket
import tempfile
import time
import urllib.parse
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from bitdiff_jax.errors import InputError
from bitdiff_jax.serve import downloads
from bitdiff_jax.serve.service import Service

_SWEEP_SECONDS = 30


def application(serving: Service, folder: str) -> Any:
    """The page and its downloads as an ASGI application.

    Args:
        serving: does what the page is told.
        folder: of `temporary_files`.

    Returns:
        A `fastapi.FastAPI`.

    Raises:
        InputError: gradio is not installed.
    """
    check_installed()
    import fastapi
    import gradio

    from bitdiff_jax.serve import actions, layout, markup

    page = actions.build(serving)
    app = fastapi.FastAPI(
        docs_url=None, redoc_url=None, openapi_url=None, lifespan=_sweeps(serving, folder, page)
    )

    @app.get("/download/{key}/{format_name}")
    def download(key: str, format_name: str) -> fastapi.Response:
        try:
            made = downloads.make(serving.view(key).full, format_name)
        except InputError as error:
            return fastapi.Response(str(error), 400, media_type="text/plain; charset=utf-8")
        quoted = urllib.parse.quote(made.name, safe="")
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''{quoted}",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return fastapi.Response(made.data, media_type=made.media_type, headers=headers)

    return gradio.mount_gradio_app(
        app, page, path="/", theme=layout.theme(), css=markup.css(),
        max_file_size=serving.limits.max_bytes, footer_links=[], run_history=False,
        ssr_mode=False, show_error=False, enable_monitoring=False, pwa=False, mcp_server=False,
    )  # fmt: skip


def check_installed() -> None:
    """Raises InputError unless gradio is installed; it is told to tell nothing to anyone."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when it is imported
    try:
        importlib.import_module("gradio")
    except ImportError:
        raise InputError("the page needs gradio: pip install 'bitdiff_jax[serve]'") from None


def run(serving: Service, host: str, port: int) -> None:
    """Serves the page until it is interrupted.

    Args:
        serving: does what the page is told.
        host: the address to listen on.
        port: 0 for any that is free.

    Raises:
        InputError: gradio is not installed, or the address cannot be listened on.
    """
    with listening(host, port) as found, temporary_files() as folder:
        app = application(serving, folder)
        import uvicorn

        shown = "localhost" if host in ("127.0.0.1", "::1") else host
        print(f"the page is at http://{shown}:{found.getsockname()[1]}; Ctrl-C ends it", flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[found])


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens.

    Raises:
        InputError: the address is not of this machine, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((host, port))
            made.listen()
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise InputError(
                f"--host {host} --port {port}: cannot be listened on ({why}); name another port, "
                "or 0 for any that is free"
            ) from None
        yield made


@contextlib.contextmanager
def temporary_files() -> Iterator[str]:
    """A folder of this server alone for gradio's temporary files, which is gone in the end."""
    name, before = "GRADIO_TEMP_DIR", os.environ.get("GRADIO_TEMP_DIR")
    folder = tempfile.mkdtemp(prefix="bitdiff_serve_")
    os.environ[name] = folder
    try:
        yield folder
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
        shutil.rmtree(folder, ignore_errors=True)


def remove_old(folder: str, seconds: float, waiting: str = "") -> None:
    """Removes the files of a folder that were written longer ago, and the folders that hold none.

    Gradio's own removal (`delete_cache`) ends for good where a file comes while it looks.

    Args:
        folder: with all that is in it.
        seconds: how old files may become.
        waiting: a text that names the folders whose files stay, however old they are.
    """
    oldest = time.time() - seconds
    for place, _, names in os.walk(folder, topdown=False):
        if place != folder and place in waiting:
            continue
        # A new folder is about to get its file.
        is_old = place != folder and os.path.getmtime(place) < oldest
        for path in (os.path.join(place, name) for name in names):
            with contextlib.suppress(FileNotFoundError):
                if os.path.getmtime(path) < oldest:
                    os.remove(path)
        if is_old:
            with contextlib.suppress(OSError):  # it is not empty
                os.rmdir(place)


def _waiting(page: Any) -> str:
    """What the drawings in the queue were sent, as text: the paths of their uploads are in it.

    An upload is read when its turn comes, which may be later than uploads are kept.
    """
    queue = page._queue  # gradio tells of those who wait only how many they are
    events = [
        event for each in queue.event_queue_per_concurrency_id.values() for event in each.queue
    ]
    events += [event for job in queue.active_jobs if job for event in job]
    return "\n".join(str(event.data.data) for event in events if event.data is not None)


def _sweeps(
    serving: Service, folder: str, page: Any
) -> Callable[[object], contextlib.AbstractAsyncContextManager]:
    """Frees what is old every now and then, though nobody asks for anything."""

    async def sweep() -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            serving.forget_old()
            keep_seconds = serving.limits.keep_seconds
            await asyncio.to_thread(remove_old, folder, keep_seconds, _waiting(page))

    @contextlib.asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[None]:
        task = asyncio.create_task(sweep())
        yield
        task.cancel()

    return lifespan
