"""The door: settings -> engine -> page -> launch.

Also the entry of a Hugging Face Space and of a ModelScope Studio. It knows the rooms and nothing
of what they do inside.
"""

import logging
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING, Any

from demo.exposure import warnings
from demo.settings import Settings, parse

if TYPE_CHECKING:
    from demo.loading import Loading

STEPS_AT_ONCE = 40  # of handlers, beside one for each request that waits in line
WAKE_SECONDS = 0.5


def main(argv: Sequence[str] | None = None) -> None:
    """Serve the page until it is stopped; the engine loads meanwhile."""
    settings = parse(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("demo.requests").setLevel(logging.INFO)
    from starlette.middleware import Middleware

    from demo.audio import Ear, Sandbox  # after the arguments: `--help` answers at once
    from demo.choosing import chosen, limits_of
    from demo.engine import EngineError
    from demo.health import routes
    from demo.loading import Loading
    from demo.sweeping import Sweeper, forget_left
    from demo.ui.look import launch_options
    from demo.ui.page import build_page, uploads_folder
    from demo.uploads import FolderError, Uploads, clean, require_writable, take_own_folder
    from demo.watching import Watch

    try:
        choice = chosen(settings)
        take_own_folder()
        require_writable(uploads_folder())
    except (EngineError, FolderError) as error:
        sys.exit(str(error))
    print(choice.notice, file=sys.stderr)
    for warning in warnings(settings, sys.argv[1:] if argv is None else argv):
        print(warning, file=sys.stderr)
    sandbox = Sandbox()
    ear = Ear(limits_of(settings), sandbox=sandbox)
    loading = Loading(choice.build).start()
    if choice.first:
        with suppress(EngineError):  # the page tells it
            loading.wait()
    watch, ending = Watch(loading.engine), Event()
    page = build_page(loading, ear, settings, choice.notice, watch)
    own = {
        "routes": routes(loading, watch, ending, settings.auth or ()),
        "middleware": [Middleware(Uploads, language=settings.language)],
    }
    sweeper = Sweeper([lambda: clean(uploads_folder()), lambda: forget_left(page.state_holder)])
    try:
        page.queue().launch(**launch_options(settings), **_serving(settings), app_kwargs=own)
        sweeper.start()
        _serve(loading, ending, settings.grace_seconds)
    except OSError as error:  # the port is taken, the certificate is not there
        sys.exit(str(error))
    finally:
        loading.close()
        page.close(verbose=False)
        sandbox.close()
        sweeper.close()


def _serve(loading: "Loading", ending: Event, grace: float) -> None:
    """Until the process is asked to end; replies that are being made get `grace` seconds more."""
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    with suppress(KeyboardInterrupt):
        while not ending.wait(WAKE_SECONDS):  # a signal is seen between two waits
            pass
        last = time.monotonic() + grace
        while time.monotonic() < last and (engine := loading.engine()):
            load = engine.load()
            if not load.waiting and not load.running:
                break
            time.sleep(WAKE_SECONDS)
    loading.close()  # tells the replies that are left
    time.sleep(2 * WAKE_SECONDS)


def _serving(settings: Settings) -> dict[str, Any]:
    """How and to whom the page is served; what is None is left to Gradio and its environment."""
    return {
        "server_name": settings.host,
        "server_port": settings.port,
        "root_path": settings.root_path,
        "inbrowser": settings.inbrowser,
        "share": settings.share,
        "auth": list(settings.auth) if settings.auth else None,
        "ssl_certfile": settings.ssl_certfile,
        "ssl_keyfile": settings.ssl_keyfile,
        "ssl_verify": not settings.ssl_certfile,  # a host's own certificate may be self-signed
        "mcp_server": settings.mcp,
        "prevent_thread_lock": True,
        "max_threads": STEPS_AT_ONCE + settings.max_waiting,
    }


if __name__ == "__main__":
    main()
