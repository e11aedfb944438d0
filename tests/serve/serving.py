"""The page of a tiny model, served from a thread of this process."""

import contextlib
import threading
import time

from bitdiff_jax.serve import server
from bitdiff_jax.serve.service import Service


@contextlib.contextmanager
def served(serving: Service):
    """Gives the address of the page, at a free port, as long as it lasts."""
    import uvicorn

    with server.listening("127.0.0.1", 0) as found, server.temporary_files() as folder:
        app = server.application(serving, folder)
        runner = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=runner.run, kwargs={"sockets": [found]}, daemon=True)
        thread.start()
        while not runner.started:
            assert thread.is_alive()
            time.sleep(0.02)
        yield f"http://127.0.0.1:{found.getsockname()[1]}"
        runner.should_exit = True
        thread.join(10)
