"""What a running app gives away: no secret of its host's, and no way in but from its machine."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest
from gradio_client import Client, handle_file

from tests.conftest import CLIPS
from tests.openai_server import talking
from tests.serving import PATIENCE, Served, serving

pytestmark = pytest.mark.slow

ACCOUNT = ("ann", "hush-account")
KEY, WRONG_KEY, ADDRESS = "hush-key", "hush-wrong", "hush-address"
SECRET = "hush"  # is in all of them
NOT_THERE = f"http://ann:{ADDRESS}@127.0.0.1:9/v1"  # a server with a password
PAGES = ("/", "/config", "/gradio_api/info", "/metrics", "/healthz", "/readyz")
GLASS = {"text": "What is that sound?", "files": [handle_file(CLIPS / "glass-breaking.flac")]}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An app that has all its secrets from its environment, and a server that is not there."""
    log = tmp_path_factory.mktemp("exposed") / "log"
    with talking(key=KEY) as model, ExitStack() as running:
        with pytest.MonkeyPatch.context() as patch:  # not longer: other apps have none of it
            patch.delenv("GRADIO_SERVER_NAME", raising=False)
            patch.setenv("OPENAI_API_KEY", KEY)
            patch.setenv("DEMO_AUTH", ":".join(ACCOUNT))
            patch.setenv("DEMO_BASE_URL", f"{NOT_THERE},{model.url}")
            app = running.enter_context(serving(log, "--engine", "openai"))
        yield app


def processes(served: Served) -> list[psutil.Process]:
    app = psutil.Process(served.process.pid)
    return [app, *app.children(recursive=True)]


def shown(served: Served) -> str:
    """All that can be read of an app: its pages, its log, its lines in the list of processes."""
    with httpx.Client(base_url=served.url, auth=ACCOUNT, timeout=PATIENCE) as visitor:
        pages = [visitor.get(page).text for page in PAGES]
    pages.append(httpx.get(served.url, timeout=PATIENCE).text)  # a stranger's
    commands = [" ".join(process.cmdline()) for process in processes(served)]
    return "\n".join([*pages, *commands, served.log])


def listening(served: Served) -> set[str]:
    """The addresses on which it can be reached."""
    found = [one for process in processes(served) for one in process.net_connections("inet")]
    return {one.laddr.ip for one in found if one.status == psutil.CONN_LISTEN}


def test_no_secret_of_the_environment_is_shown(served: Served):
    client = Client(served.url, auth=ACCOUNT, verbose=False)
    assert client.predict(GLASS, api_name="/chat") == "Hello"
    assert len(processes(served)) > 1
    text = shown(served)
    assert "demo_requests_total" in text
    assert "app.py" in text
    assert SECRET not in text


def test_neither_accounts_in_a_file_nor_a_key_that_is_refused_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "accounts").write_text(":".join(ACCOUNT), encoding="utf-8")
    monkeypatch.setenv("MY_KEY", WRONG_KEY)
    with talking(key=KEY) as model:
        flags = ["--engine", "openai", "--base-url", model.url, "--api-key-env", "MY_KEY"]
        accounts = ["--auth", f"@{tmp_path / 'accounts'}"]
        with serving(tmp_path / "log", *flags, *accounts, ready=False) as app:
            app.wait_until("refuses the API key")
            client = Client(app.url, auth=ACCOUNT, verbose=False)
            with pytest.raises(Exception, match="refuses the API key") as raised:
                client.predict({"text": "Hello", "files": []}, api_name="/chat")
            assert SECRET not in str(raised.value)
            assert SECRET not in shown(app)


def test_by_default_only_this_machine_can_reach_the_page(served: Served):
    assert listening(served) == {"127.0.0.1"}


def test_a_page_open_to_all_without_accounts_says_so_on_the_terminal(tmp_path: Path):
    flags = ["--engine", "openai", "--base-url", "http://127.0.0.1:9/v1", "--host", "0.0.0.0"]
    with serving(tmp_path / "log", *flags, ready=False, stdout=subprocess.DEVNULL) as app:
        assert "Whoever can reach 0.0.0.0 can use this page" in app.log
        assert listening(app) == {"0.0.0.0"}
