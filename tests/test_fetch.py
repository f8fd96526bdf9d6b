"""What lies at a URL is heard within limits, and nothing behind the host's own walls is touched."""

import ipaddress
import socket
import time

import pytest

from demo.addresses import is_url
from demo.audio import AudioError, Ear, Limits
from demo.hearing import guard
from demo.hearing.fetch import name_of_url
from tests.inputs import OPEN, outcome, urls
from tests.web import SOON, serving


@pytest.fixture(scope="module")
def server():
    with serving() as address:
        yield address


@pytest.mark.parametrize("trial", urls(), ids=[trial.title for trial in urls()])
def test_a_url_gets_what_it_must_in_time(trial, server):
    started = time.monotonic()
    key, sentence = outcome(trial, server)
    assert key == trial.gets, sentence
    assert time.monotonic() - started < SOON


def test_a_clip_is_named_after_its_url(server):
    assert Ear(OPEN).hear(server + "/tone.wav?token=secret").name == "tone.wav"
    assert Ear(OPEN).hear(server + "/tone.wav", "mine.wav").name == "mine.wav"


@pytest.fixture
def only_second_loopback_is_public(monkeypatch):
    """127.0.0.2 plays the open internet, 127.0.0.1 the host's private network."""
    monkeypatch.setattr(guard, "is_public", lambda address: str(address) == "127.0.0.2")


def test_a_public_address_is_fetched(only_second_loopback_is_public):
    with serving("127.0.0.2") as public:
        assert Ear().hear(public + "/tone.wav").seconds == 2


def test_a_redirect_into_a_private_network_is_refused(server, only_second_loopback_is_public):
    with serving("127.0.0.2") as public, pytest.raises(AudioError) as caught:
        Ear().hear(f"{public}/moved?{server}/tone.wav")
    assert caught.value.key == "url_private"


def test_what_comes_with_a_redirect_is_not_read(server):
    assert Ear(OPEN).hear(f"{server}/heavy?{server}/tone.wav").seconds == 2


@pytest.mark.parametrize(("address", "public"), [
    ("8.8.8.8", True),
    ("2606:4700:4700::1111", True),
    ("64:ff9b::808:808", True),
    ("::ffff:8.8.8.8", True),
    ("10.0.0.1", False),
    ("169.254.169.254", False),
    ("192.0.0.192", False),
    ("168.63.129.16", False),
    ("::1", False),
    ("::127.0.0.1", False),
    ("::ffff:0:7f00:1", False),
    ("::ffff:10.0.0.1", False),
    ("64:ff9b::a9fe:a9fe", False),
    ("64:ff9b:1::a9fe:a9fe", False),
    ("fc00::1", False),
    ("fe80::1", False),
    ("fec0::1", False),
    ("3fff::1", False),
    ("5f00::1", False),
    ("ff02::1", False),
])  # fmt: skip
def test_only_the_open_internet_is_public(address: str, public: bool):
    assert guard.is_public(ipaddress.ip_address(address)) is public


def answers(monkeypatch, *addresses: str) -> list[str]:
    """The name clip.test is at one of `addresses` after another; the names looked up so far."""
    asked: list[str] = []
    look_up = socket.getaddrinfo

    def turning(host, *rest, **named):
        if host != "clip.test":
            return look_up(host, *rest, **named)
        asked.append(host)
        return look_up(addresses[min(len(asked), len(addresses)) - 1], *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", turning)
    return asked


def test_a_name_in_a_private_network_is_refused(monkeypatch):
    answers(monkeypatch, "10.1.2.3")
    with pytest.raises(AudioError, match=r"clip\.test lies in a private network"):
        Ear().hear("http://clip.test/a.wav")


def test_a_name_that_changes_its_address_after_the_check_gains_nothing(
    server, monkeypatch, only_second_loopback_is_public
):
    asked = answers(monkeypatch, "127.0.0.2", "127.0.0.1")
    port = server.rpartition(":")[2]
    with pytest.raises(AudioError) as caught:  # nobody listens at the address that was checked
        Ear().hear(f"http://clip.test:{port}/tone.wav")
    assert caught.value.key == "url_unreachable"
    assert asked == ["clip.test"]


def test_a_private_url_is_fetched_where_the_host_allows_it(server):
    assert Ear(Limits(allow_private_urls=True)).hear(server + "/tone.wav").seconds == 2


def test_a_proxy_of_the_environment_does_not_lead_around_the_guard(server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", server)
    monkeypatch.setenv("http_proxy", server)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(AudioError, match="private network"):
        Ear().hear(server + "/tone.wav")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("http://a/b.wav", True),
        ("HTTPS://a/b.wav", True),
        ("ftp://a/b.wav", True),
        ("/tmp/a.wav", False),
        ("C:\\a.wav", False),
        ("C://a.wav", False),
        ("a:b.wav", False),
    ],
)
def test_a_url_is_told_from_a_path(text, answer):
    assert is_url(text) is answer


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://host/x/my%20voice.wav?a=b#c", "my voice.wav"),
        ("https://host/", "host"),
        ("https://[broken/a", "clip"),
    ],
)
def test_a_url_names_its_file(url, name):
    assert name_of_url(url) == name
