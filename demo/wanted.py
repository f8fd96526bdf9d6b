"""Which remote servers a host wants asked, with which model, and what is said of it.

How they are asked is `demo.connecting`'s matter, whose client takes a second to import: the page
need not wait for it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from demo.engine import Budgets
from demo.messages import Message, Sentences

NO_KEY = "none"  # the client wants one, and a server without keys reads none

SENTENCES: Sentences = {
    "asked_any": (
        "The model of the server {servers} answers. For a model on this machine: {other}",
        "由服务器 {servers} 上的模型回答。改用本机上的模型：{other}",
    ),
    "asked": (
        "{model} answers, on the server {servers}. For a model on this machine: {other}",
        "由服务器 {servers} 上的 {model} 回答。改用本机上的模型：{other}",
    ),
}


@dataclass(frozen=True)
class Remote:
    """Which servers answer with which model; the name "auto" is whatever they serve."""

    model: str
    urls: tuple[str, ...]
    key: str
    budgets: Budgets

    @property
    def notice(self) -> Message:
        key = "asked_any" if self.model == "auto" else "asked"
        values = {"model": self.model, "servers": self.hosts, "other": "python app.py"}
        return Message(SENTENCES, key, **values)

    @property
    def hosts(self) -> str:
        return ", ".join(map(host_of, self.urls))


def host_of(url: str) -> str:
    """A base URL as a visitor may see it: without a scheme, a path or a password."""
    return urlsplit(url).netloc.rpartition("@")[2]


def key_from(variable: str, environ: Mapping[str, str] = os.environ) -> str:
    """The API key in an environment variable; it appears nowhere else."""
    return environ.get(variable) or NO_KEY
