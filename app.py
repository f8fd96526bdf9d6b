"""The door: settings -> engine -> page -> launch.

Also the entry of a Hugging Face Space and of a ModelScope Studio. It knows the rooms and nothing
of what they do inside.
"""

import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from threading import Event
from typing import TYPE_CHECKING, Any

from demo.exposure import warnings
from demo.settings import Settings, parse
from demo.sweeping import share_arenas

if TYPE_CHECKING:
    from gradio import Blocks

    from demo.audio import Sandbox
    from demo.choosing import Chosen
    from demo.loading import Loading
    from demo.places import Places
    from demo.watching import Watch

STEPS_AT_ONCE = 40  # of handlers, beside one for each request that waits in line
ANSWERED = 1  # request at a time, beside those that wait
WAKE_SECONDS = 0.5
GIGABYTE = 10**9


def main(argv: Sequence[str] | None = None) -> None:
    """Serve the page until it is stopped; the engine loads meanwhile."""
    settings = parse(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("demo.requests").setLevel(logging.INFO)
    share_arenas()
    gc.disable()  # while everything is imported: none of it is garbage
    from demo.audio import Ear, Sandbox  # after the arguments: `--help` answers at once
    from demo.choosing import limits_of
    from demo.engine import EngineError
    from demo.loading import Loading
    from demo.places import Places
    from demo.tools import left_out, send_no_files, serve_tools
    from demo.ui.look import launch_options
    from demo.ui.page import build_page
    from demo.watching import Watch

    gc.freeze()
    gc.enable()
    choice = _decided(settings)
    print(choice.notice, file=sys.stderr)
    for warning in warnings(settings, sys.argv[1:] if argv is None else argv):
        print(warning, file=sys.stderr)
    sandbox = Sandbox()
    ear = Ear(limits_of(settings), sandbox=sandbox)
    loading = Loading(choice.build)
    if choice.first:
        with suppress(EngineError):  # the page tells it
            loading.start().wait()
    places = Places(settings.max_waiting, settings.max_per_user, ANSWERED)
    watch, ending = Watch(loading.engine, places), Event()
    page = build_page(loading, ear, settings, choice.notice, watch)
    own = _own(settings, loading, watch, ending)
    sweepers = ExitStack()
    try:
        if settings.mcp:
            send_no_files()
        with left_out():
            page.launch(**launch_options(settings), **_serving(settings), app_kwargs=own)
        if not choice.first:
            loading.start()  # not before: what it imports would keep the page waiting
        if settings.mcp:
            serve_tools(page)
        _sweep(page, settings, sweepers)
        _serve(loading, places, ending, settings.grace_seconds)
    except OSError as error:  # the port is taken, the certificate is not there
        sys.exit(str(error))
    finally:
        _close(loading, page, sandbox, sweepers)


def _decided(settings: Settings) -> "Chosen":
    """The engine to build; ends the process in a sentence where it, or the page, could not be."""
    from demo.choosing import chosen
    from demo.engine import EngineError
    from demo.forwarding import trust_proxies
    from demo.ui.clips import uploads
    from demo.uploads import FolderError, require_writable, take_own_folder

    try:
        trust_proxies(os.environ, settings.host)
        choice = chosen(settings)
        take_own_folder()
        require_writable(uploads().folder)
    except (EngineError, FolderError) as error:
        sys.exit(str(error))
    return choice


def _own(settings: Settings, loading: "Loading", watch: "Watch", ending: Event) -> dict[str, Any]:
    """What is ours in Gradio's app: more pages, and what every request passes through."""
    from starlette.middleware import Middleware

    from demo.bodies import Bodies
    from demo.faults import Faults
    from demo.forwarding import Forwarded
    from demo.gate import Gate
    from demo.health import routes
    from demo.ledger import Ledger
    from demo.owners import Owners
    from demo.ui.clips import uploads
    from demo.uploads import Uploads

    language, ledger = settings.language, Ledger(settings.max_uploads_gb * GIGABYTE)
    accounts = settings.auth
    outer = [Middleware(Gate, accounts=accounts, language=language)] if accounts else []
    outer += [Middleware(edge, language=language) for edge in (Faults, Uploads)]
    bodies = Middleware(Bodies, clip_mb=settings.max_file_mb, ledger=ledger, language=language)
    own = [*outer, bodies, Middleware(Forwarded), Middleware(Owners, clips=uploads())]
    return {"routes": routes(loading, watch, ending), "middleware": own}


def _sweep(page: "Blocks", settings: Settings, ending: ExitStack) -> None:
    """Forgets old uploads and pages that were left, and gives memory back, until `ending`."""
    from demo import sweeping
    from demo.ui.clips import uploads
    from demo.uploads import clean, shrink

    folder, most, now = uploads().folder, settings.max_uploads_gb * GIGABYTE, sweeping.Clock()
    files = (lambda: clean(folder, now()), lambda: shrink(folder, most))
    memory = (lambda: sweeping.forget_left(page.state_holder, now()), sweeping.give_back)
    for jobs, every in (
        (files, sweeping.EVERY_SECONDS), (memory, sweeping.FORGET_EVERY_SECONDS),
    ):  # fmt: skip
        sweeper = sweeping.Sweeper(jobs, every)
        sweeper.start()
        ending.callback(sweeper.close)


def _serve(loading: "Loading", places: "Places", ending: Event, grace: float) -> None:
    """Until the process is asked to end; replies that are being made get `grace` seconds more."""
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    with suppress(KeyboardInterrupt):
        while not ending.wait(WAKE_SECONDS):  # a signal is seen between two waits
            pass
        last = time.monotonic() + grace
        while time.monotonic() < last and loading.engine() and places.total:
            time.sleep(WAKE_SECONDS)
    loading.close()  # tells the replies that are left
    time.sleep(2 * WAKE_SECONDS)


def _close(loading: "Loading", page: "Blocks", sandbox: "Sandbox", sweepers: ExitStack) -> None:
    """Ends all that runs, and the process at once where a checkpoint is still on its way."""
    loading.close()
    page.close(verbose=False)
    sandbox.close()
    sweepers.close()
    if loading.under_way:  # a hub's client would finish gigabytes before the process may end
        os._exit(0)


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
