"""Where uploads lie, and what nobody finds or fills there; `test_owners` says whose they are."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gradio_client import Client

from demo.uploads import CLIP_FOLDER, FolderError, take_own_folder
from tests.openai_server import talking
from tests.serving import Served, serving
from tests.sounds import wav

pytestmark = pytest.mark.slow

SOUND = wav()  # made once: its head tells the second it was made in


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An app with accounts, whose model nobody asks."""
    with talking() as model:
        flags = ["--engine", "openai", "--base-url", model.url, "--auth", "me:secret"]
        with serving(tmp_path_factory.mktemp("uploads") / "log", *flags) as served:
            yield served


@pytest.fixture
def member(app: Served) -> Iterator[httpx.Client]:
    """Somebody who has logged in."""
    with httpx.Client(base_url=app.url) as client:
        login = {"username": "me", "password": "secret"}
        client.post("/login", data=login).raise_for_status()
        yield client


def uploaded(client: httpx.Client, name: str = "mine.wav") -> httpx.Response:
    return client.post("/gradio_api/upload", files={"files": (name, SOUND)})


def test_nobody_finds_the_path_of_a_clip(member: httpx.Client):
    clip = Path(uploaded(member).json()[0])
    assert CLIP_FOLDER.fullmatch(clip.parent.name)
    assert member.get(f"/gradio_api/file={clip}").content == SOUND
    uploads = clip.parents[1]
    folders = [f"{uploads}{end}" for end in ("", "/", "/.", "/*", "/..", f"/{'0' * 64}/mine.wav")]
    for guess in [*folders, f"{clip.parent}", f"{clip.parent}/", f"{clip.parent}/*"]:
        answer = member.get(f"/gradio_api/file={guess}")
        assert answer.status_code >= 400, guess
        assert clip.parent.name in guess or clip.parent.name not in answer.text
        assert "mine.wav" in guess or "mine.wav" not in answer.text


def test_a_clip_is_for_accounts_only_where_there_are_accounts(app: Served, member: httpx.Client):
    clip = uploaded(member).json()[0]
    for route in ("gradio_api/file=", "file=", "gradio_api/file/"):
        answer = httpx.get(f"{app.url}/{route}{clip}")
        assert answer.status_code in (401, 404), route
        assert answer.content != SOUND
    with httpx.Client(base_url=app.url) as stranger:
        assert uploaded(stranger).status_code == 401


def test_an_upload_without_a_name_is_refused_in_a_sentence(app: Served, member: httpx.Client):
    answer = uploaded(member, name="")
    assert answer.status_code == 400
    assert "has no name" in answer.text
    assert "Traceback" not in app.log


def test_clips_outlive_the_process_as_another_may_have_the_same(tmp_path: Path):
    with talking() as model:
        flags = ["--engine", "openai", "--base-url", model.url]
        with serving(tmp_path / "log", *flags) as app, httpx.Client(base_url=app.url) as client:
            clip = Path(uploaded(client).json()[0])
            app.process.terminate()
            assert app.process.wait(20) == 0
    assert clip.exists()


def test_the_folder_of_voices_is_closed_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")  # what is set below is undone with it
    monkeypatch.delenv("GRADIO_TEMP_DIR")
    take_own_folder()
    (folder,) = tmp_path.iterdir()
    assert os.environ["GRADIO_TEMP_DIR"] == str(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    monkeypatch.delenv("GRADIO_TEMP_DIR")
    with pytest.raises(FolderError, match="another user's"):
        take_own_folder()


def test_a_request_larger_than_a_clip_is_refused_before_it_is_read(app: Served):
    with httpx.Client(base_url=app.url, auth=("me", "secret")) as client:
        for route in ("call/generate", "run/upload"):
            body = (b"x" * 10**6 for _ in range(400))
            answer = client.post(f"/gradio_api/{route}", content=body)
            assert answer.status_code == 413
            assert "larger than 137 MB" in answer.text
        assert client.get("/healthz").text == "ok\n"


def test_what_would_keep_all_that_is_sent_for_ever_is_not_there(app: Served):
    with httpx.Client(base_url=app.url, auth=("me", "secret")) as client:
        answer = client.post("/gradio_api/process_recording", files={"video": ("a.mp4", SOUND)})
        assert answer.status_code == 404
        for route in ("file=http://127.0.0.1:1/x.png", "file=HTTPS://example.org/x",
                      "custom_component/a/client/x/y"):  # fmt: skip
            assert client.get(f"/gradio_api/{route}").text == "not here\n"
        page = Client(app.url, verbose=False, auth=("me", "secret")).session_hash
        answer = client.get("/gradio_api/deep_link", params={"session_hash": page})
        assert answer.status_code == 404
