"""Whose an upload is: who knows another's path gets nothing by it, on any way."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo.owners import COOKIE, HEADER, Clips, claim, marks_of
from demo.uploads import MARK, clean, shrink
from tests.crowd_parts import model as model
from tests.openai_server import Server
from tests.serving import Served, serving
from tests.sounds import tone, wav

pytestmark = pytest.mark.slow

HERE, THERE = {"X-Forwarded-For": "203.0.113.5"}, {"X-Forwarded-For": "203.0.113.6"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, model: Server) -> Iterator[Served]:
    flags = ["--engine", "openai", "--base-url", model.url, "--mcp"]
    with serving(tmp_path_factory.mktemp("owners") / "log", *flags) as served:
        yield served


Come = Callable[..., httpx.Client]


@pytest.fixture
def come(app: Served) -> Iterator[Come]:
    """Somebody who opens the page in a browser of their own."""
    browsers: list[httpx.Client] = []

    def come(**wishes: Any) -> httpx.Client:
        browsers.append(httpx.Client(base_url=app.url, **wishes))
        assert browsers[-1].get("/").is_success
        return browsers[-1]

    yield come
    for browser in browsers:
        browser.close()


def sent(browser: httpx.Client, sound: bytes = b"", name: str = "mine.wav") -> str:
    """The path of an upload, which nobody else has."""
    sound = sound or wav(tone(time.time_ns() % 10**6 / 10**6 + 0.1))
    answer = browser.post("/gradio_api/upload", files={"files": (name, sound)})
    return answer.raise_for_status().json()[0]


def fetched(browser: httpx.Client, path: str) -> bool:
    return browser.get(f"/gradio_api/file={path}").is_success


def test_only_an_upload_is_anybodys(tmp_path: Path):
    folder, examples = tmp_path / "uploads", tmp_path / "examples"
    folder.mkdir()
    examples.mkdir()
    (examples / "clip.wav").write_bytes(b"example")
    own, shared = marked(folder, "a", "me"), marked(folder, "b")
    shared.write_bytes(b"example")
    same = shared.with_name("private.wav")
    same.write_bytes(b"example")
    beside = marked(tmp_path, "a", "me")
    clips = Clips(folder, examples)
    assert clips.found(str(own), ["you", "me"]) == own
    assert clips.found(str(shared), []) == shared
    assert clips.found(str(examples / "clip.wav"), []) == examples / "clip.wav"
    assert clips.found(str(folder / "x" / ".." / own.relative_to(folder)), ["me"]) == own
    assert clips.found(str(own), ["you"]) is None
    (mark,) = own.parent.glob(f"{MARK}*")
    twin = own.with_name("other.wav")
    twin.write_bytes(own.read_bytes())
    for path in (beside, own.parent, own.with_name("x.wav"), twin, mark, same, folder, examples,
                 folder / "x", "", "x" * 5000, folder / ".." / beside.relative_to(tmp_path),
                 f"{own}\0"):  # fmt: skip
        assert clips.found(str(path), ["me"]) is None, path


# The file route.


def test_another_visitor_is_not_given_a_clip_however_its_path_is_spelled(
    come: Come, tmp_path: Path
):
    owner, other = come(), come()
    clip = Path(sent(owner))
    up = f"{clip.parent}/../{clip.parent.name}"
    link = tmp_path / "link"
    link.symlink_to("/usr/bin")
    spellings = [clip, f"/bin/..{clip}", f"/lib/..{clip}", f"{link}/..{clip}", f"{clip}%20",
                 f"{link}/../..{clip}", f"/%2e/bin/%2e%2e{clip}", f"{up}/{clip.name}", f"/{clip}",
                 f"/proc/self/root{clip}", f" {clip}", f"{clip.parent}/./{clip.name}",
                 f"{clip}?x"]  # fmt: skip
    assert fetched(owner, str(clip))
    for spelled in spellings:
        for route in ("gradio_api/file=", "gradio_api/file/", "file=", "gradio_api//file="):
            answer = other.get(f"/{route}{spelled}")
            assert not answer.is_success, (route, spelled)
    part = {"Range": "bytes=0-3"}
    assert other.get(f"/gradio_api/file={clip}", headers=part).status_code == 404
    told = owner.get(f"/gradio_api/file={clip}", headers=part)
    assert told.content == clip.read_bytes()[:4]
    assert told.headers["cache-control"] == "private, no-cache"
    assert not {"cookie", "user-agent", HEADER} & set(told.headers)  # as Gradio would send
    assert other.head(f"/gradio_api/file={clip}").status_code == 404


def test_another_name_or_folder_of_the_uploads_is_nobodys(come: Come):
    owner = come()
    clip = Path(sent(owner))
    mark = next(clip.parent.glob(f"{MARK}*"))
    for path in (clip.parent, clip.with_name("other.wav"), clip.parents[1], mark):
        assert not fetched(owner, str(path))


def test_who_uploads_the_same_sound_has_it_too(come: Come):
    first, second, third = come(), come(), come()
    sound = wav(tone(0.7))
    clip = sent(first, sound)
    assert not fetched(second, clip)
    assert sent(second, sound) == clip
    assert [fetched(one, clip) for one in (first, second, third)] == [True, True, False]


def test_marks_that_somebody_sends_along_are_not_theirs(come: Come, app: Served):
    with httpx.Client(base_url=app.url, headers=HERE) as owner:
        clip = sent(owner)
    mark = marks_of(address=HERE["X-Forwarded-For"])[0]
    other = come(headers={HEADER: mark, **THERE})
    assert not fetched(other, clip)
    other.headers[HEADER.upper()] = mark
    assert not fetched(other, clip)


@pytest.mark.parametrize("token", ["", "x", "a" * 31, "a" * 65, "../../etc/passwd"])
def test_a_cookie_that_is_none_of_ours_names_nobody(app: Served, token: str):
    cookie = {"Cookie": f"{COOKIE}={token}"}
    with httpx.Client(base_url=app.url, headers={**HERE, **cookie}) as owner:
        clip = sent(owner)
        assert COOKIE in owner.get("/config").headers["set-cookie"]
    with httpx.Client(base_url=app.url, headers={**THERE, **cookie}) as other:
        assert not fetched(other, clip)


def test_without_a_cookie_an_address_is_known(app: Served):
    with (
        httpx.Client(base_url=app.url, headers=HERE) as here,
        httpx.Client(base_url=app.url, headers=THERE) as there,
    ):
        clip = sent(here)
        assert (fetched(here, clip), fetched(there, clip)) == (True, False)


def test_the_cookie_is_kept_from_scripts_and_goes_with_a_page_in_a_frame(come: Come, app: Served):
    plain = httpx.get(app.url).headers["set-cookie"]
    assert "HttpOnly" in plain
    assert "SameSite=Lax" in plain
    secure = httpx.get(app.url, headers={"X-Forwarded-Proto": "https"}).headers["set-cookie"]
    assert "HttpOnly; SameSite=None; Secure; Partitioned" in secure
    assert plain != httpx.get(app.url).headers["set-cookie"]
    browser = come()
    token = browser.cookies[COOKIE]
    assert f"{COOKIE}={token};" in browser.get("/").headers["set-cookie"]
    assert "set-cookie" not in browser.get("/healthz").headers


def test_an_owner_is_known_after_a_restart(tmp_path: Path, model: Server):
    flags = ["--engine", "openai", "--base-url", model.url]
    cookies = httpx.Cookies()
    with (
        serving(tmp_path / "log", *flags) as app,
        httpx.Client(base_url=app.url) as browser,
    ):
        browser.get("/")
        clip, cookies = sent(browser), browser.cookies
    with serving(tmp_path / "log", *flags) as app:
        with httpx.Client(base_url=app.url, cookies=cookies) as browser:
            assert fetched(browser, clip)
        with httpx.Client(base_url=app.url) as other:
            assert not fetched(other, clip)


def test_an_account_has_its_clips_on_all_of_its_devices(tmp_path: Path, model: Server):
    flags = ["--engine", "openai", "--base-url", model.url, "--auth", "ann:one,bob:two"]
    with serving(tmp_path / "log", *flags) as app:
        devices: list[httpx.Client] = []
        for name, password in (("ann", "one"), ("ann", "one"), ("bob", "two")):
            devices.append(httpx.Client(base_url=app.url))
            devices[-1].post("/login", data={"username": name, "password": password})
        clip = sent(devices[0])
        assert [fetched(one, clip) for one in devices] == [True, True, False]
        for device in devices:
            device.close()
        with httpx.Client(base_url=app.url, auth=("ann", "one")) as program:
            assert fetched(program, clip)
        with httpx.Client(base_url=app.url, auth=("bob", "two")) as program:
            assert not fetched(program, clip)


# What is deleted.


def marked(folder: Path, digit: str, *owners: str) -> Path:
    """A clip of so many."""
    clip = folder / (digit * 64) / "clip.wav"
    clip.parent.mkdir()
    clip.write_bytes(bytes(100))
    claim(clip, owners)
    return clip


def test_marks_stay_as_long_as_the_clip_and_go_with_it(tmp_path: Path):
    clip = marked(tmp_path, "a", "x", "y")
    for mark in clip.parent.glob(f"{MARK}*"):
        os.utime(mark, (1, 1))
    clean(tmp_path, time.time())
    assert len(list(clip.parent.iterdir())) == 3
    clean(tmp_path, time.time() + 25 * 3600)
    assert not clip.parent.exists()


def test_the_oldest_clips_take_their_marks_along(tmp_path: Path):
    old = marked(tmp_path, "a", "x")
    time.sleep(0.02)
    new = marked(tmp_path, "b", "x", "y")
    shrink(tmp_path, 100)
    assert not old.parent.exists()
    assert len(list(new.parent.iterdir())) == 3


def test_an_upload_with_the_name_of_a_mark_is_an_upload(tmp_path: Path):
    clip = marked(tmp_path, "a")
    likes = [clip.with_name(name) for name in (f"{MARK}talk.wav", f"{MARK}{'0' * 32}")]
    for like in likes:
        like.write_bytes(bytes(100))
    clean(tmp_path, time.time())
    assert all(file.exists() for file in (clip, *likes))
    shrink(tmp_path, 99)
    assert not clip.parent.exists()
