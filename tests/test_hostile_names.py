"""A file may have any name: it is heard or refused in a sentence, and no log has the name."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tests.openai_server import saying, talking
from tests.serving import PATIENCE, Served, serving
from tests.sounds import wav

pytestmark = pytest.mark.slow

ENTITIES = "&lt;img src=x onerror=window.ran=5&gt;"  # a tag, once somebody unescapes it
NAMES = {
    "300 characters": "marker" * 50 + ".wav",
    "300 Chinese characters": "标" * 297 + ".wav",
    "quotes": 'marker\'s "own" `clip`.wav',
    "slashes": "../../marker/../../etc/marker.wav",
    "backslashes": "..\\..\\marker\\C:\\marker.wav",
    "two lines": "marker\nmarker\r\nmarker.wav",
    "right to left": "marker\u202egpj.wav",
    "entities": f"{ENTITIES}marker.wav",
    "a tag": "<img src=x onerror=window.ran=5>marker.wav",
    "a place for a value": "{marker} %s %(marker)s ${marker}.wav",
    "two points": "..",
    "a device": "marker.CON",
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An app that lets another server answer, which always says the same."""
    with talking(saying("I hear it.")) as model:
        flags = ["--engine", "openai", "--base-url", model.url]
        with serving(tmp_path_factory.mktemp("names") / "log", *flags) as served:
            yield served


@pytest.fixture(scope="module")
def client(app: Served) -> Client:
    return Client(app.url, verbose=False)


def sent(app: Served, name: str, content: bytes) -> httpx.Response:
    files = {"files": (name, content)}
    return httpx.post(f"{app.url}/gradio_api/upload", files=files, timeout=PATIENCE)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_file_of_any_name_is_heard_or_refused_in_a_sentence(
    app: Served, client: Client, name: str
):
    answer = sent(app, name, wav())
    if answer.status_code == 200:
        clip = Path(answer.json()[0])
        assert clip.exists()
        assert len(clip.relative_to(clip.parents[1]).parts) == 2
        question = {"text": "What is that?", "files": [handle_file(clip)]}
        assert client.predict(question, api_name="/chat") == "I hear it."
    else:
        assert answer.status_code == 400
        assert "name" in answer.text
    for word in ("marker", "标", "onerror", "Traceback"):
        assert word not in app.log


@pytest.mark.parametrize("name", [NAMES["entities"], NAMES["two lines"], NAMES["right to left"]])
def test_what_is_no_sound_is_refused_by_its_name(app: Served, client: Client, name: str):
    clip = Path(sent(app, name, b"Dear reader, this is no sound.\n" * 40).json()[0])
    question = {"text": "What is that?", "files": [handle_file(clip)]}
    with pytest.raises(AppError, match=r"marker.*\.wav is not a sound file") as caught:
        client.predict(question, api_name="/chat")
    assert "\n" not in str(caught.value)
    assert "\u202e" not in str(caught.value)
    assert "marker" not in app.log
