"""What a host should know at the start about who can reach the page, and who can read a secret.

It knows the settings and the command line, and opens nothing.
"""

import ipaddress
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from urllib.parse import urlsplit

from demo.settings import Settings

HOSTED = ("SPACE_ID", "MODELSCOPE_ENVIRONMENT")  # where being public is what one came for


def warnings(
    settings: Settings, argv: Sequence[str], environ: Mapping[str, str] = os.environ
) -> Iterator[str]:
    """Sentences for the terminal; none where all is as it should be."""
    host = settings.host or environ.get("GRADIO_SERVER_NAME") or "127.0.0.1"
    public = settings.share or not _is_loopback(host)
    if public and not settings.auth and not is_hosted(environ):
        yield (
            f"Whoever can reach {'the shared address' if settings.share else host} can use this "
            "page: name who may with --auth @FILE."
        )
    if settings.auth and _typed(argv):
        yield (
            "The passwords after --auth can be read in the list of processes: put them into a "
            "file (--auth @FILE) or into DEMO_AUTH."
        )
    if any(urlsplit(url).password for url in settings.base_url) and _with_password(argv):
        yield (
            "The password in --base-url can be read in the list of processes: put the address "
            "into DEMO_BASE_URL."
        )


def is_hosted(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this is a Hugging Face Space or a ModelScope Studio."""
    return any(name in environ for name in HOSTED)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _typed(argv: Sequence[str]) -> bool:
    """Whether accounts stand on the command line themselves, and not the name of their file."""
    after = [argument.partition("=")[2] for argument in argv if argument.startswith("--auth=")]
    after += [value for flag, value in pairwise(argv) if flag == "--auth"]
    return any(not value.startswith("@") for value in after)


def _with_password(argv: Sequence[str]) -> bool:
    return any("://" in argument and "@" in argument for argument in argv)
