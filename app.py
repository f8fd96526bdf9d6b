"""The door: settings -> engine -> page -> launch.

Also the entry of a Hugging Face Space and of a ModelScope Studio. It knows the rooms and nothing
of what they do inside.
"""

import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from demo.settings import Settings, parse

STEPS_AT_ONCE = 40  # of handlers, beside one for each request that waits in line


def main(argv: Sequence[str] | None = None) -> None:
    """Serve the page until it is stopped; the engine loads meanwhile."""
    settings = parse(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    from demo.audio import Ear, Limits  # after the arguments: `--help` answers at once
    from demo.choosing import chosen
    from demo.engine import EngineError
    from demo.loading import Loading
    from demo.ui.look import launch_options
    from demo.ui.page import build_page

    try:
        choice = chosen(settings)
    except EngineError as error:
        sys.exit(str(error))
    print(choice.notice, file=sys.stderr)
    ear = Ear(Limits(settings.max_audio_minutes, settings.max_file_mb, settings.allow_private_urls))
    loading = Loading(choice.build).start()
    if choice.first:
        with suppress(EngineError):  # the page tells it
            loading.wait()
    page = build_page(loading, ear, settings, choice.notice)
    try:
        page.queue().launch(**launch_options(settings), **_serving(settings))
    except OSError as error:  # the port is taken, the certificate is not there
        sys.exit(str(error))
    finally:
        loading.close()


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
        "max_threads": STEPS_AT_ONCE + settings.max_waiting,
    }


if __name__ == "__main__":
    main()
