"""The API's `/batch`, called by a real client on the real app."""

import time
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from demo.watching import OWN_BATCHES
from tests.conftest import CLIPS
from tests.model_card import ModelCard
from tests.serving import Served
from tests.sounds import tone, wav

pytestmark = pytest.mark.slow

ASK = "What is that sound?"
GLASS, KNOCKS = CLIPS / "glass-breaking.flac", CLIPS / "four-knocks.flac"
SHORT: dict[str, Any] = {"max_new_tokens": 12}


@pytest.fixture
def client(served: Served) -> Client:
    return Client(served.url, verbose=False)


def expected(card: ModelCard, clip: Path, asked: str = ASK) -> str:
    parts = [{"type": "audio", "audio_url": str(clip)}, {"type": "text", "text": asked}]
    return card.reply([{"role": "user", "content": parts}], 12).strip()


def test_it_answers_clips_in_their_order(client: Client, card: ModelCard, tmp_path: Path):
    text = tmp_path / "notes.wav"
    text.write_text("This is only text.\n" * 20)
    clips = [
        handle_file(GLASS),
        {"audio": handle_file(text)},
        {"audio": handle_file(KNOCKS), "prompt": "How many knocks are there?", "gt": "four"},
        {"audio": "http://127.0.0.1:9/private.wav"},
    ]
    rows = client.predict(clips, task="sound", **SHORT, api_name="/batch")
    assert [row["row"] for row in rows] == [0, 1, 2, 3]
    assert rows[0]["reply"] == expected(card, GLASS)
    assert rows[2]["reply"] == expected(card, KNOCKS, "How many knocks are there?")
    assert rows[2]["gt"] == "four"
    assert "notes.wav" in rows[1]["error"]
    assert "private" in rows[3]["error"]
    assert all(row["model"] == "preview" for row in rows)


def test_it_takes_a_manifest_with_its_clips(client: Client, card: ModelCard, tmp_path: Path):
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(
        '{"audio": "some/where/glass-breaking.flac", "gt": "glass"}\n{"audio": "gone.wav"}\n'
    )
    sent = [handle_file(manifest), handle_file(GLASS)]
    first, second = client.predict(sent, task="sound", **SHORT, api_name="/batch")
    assert first["audio"] == "some/where/glass-breaking.flac"
    assert first["reply"] == expected(card, GLASS)
    assert "gone.wav was not sent" in second["error"]


def test_it_streams_the_rows_done_so_far(client: Client, tmp_path: Path):
    sent = []
    for number in range(30):  # several lots, each of them longer than an update waits
        clip = tmp_path / f"{number}.wav"
        clip.write_bytes(wav(tone(3.0, hz=200 + 40 * number)))
        sent.append(handle_file(clip))
    slow: dict[str, Any] = {"max_new_tokens": 60, "repetition_penalty": 1.0}
    counts = [len(rows) for rows in client.submit(sent, **slow, api_name="/batch")]
    assert counts == sorted(counts)
    assert counts[-1] == 30
    assert any(0 < count < 30 for count in counts)


def test_a_batch_lets_a_chat_in_between(served: Served, tmp_path: Path):
    clip = tmp_path / "clip.wav"
    clip.write_bytes(wav(tone(8.0)))
    many = [{"audio": handle_file(clip), "prompt": f"Question {n}?"} for n in range(40)]
    slow: dict[str, Any] = {"max_new_tokens": 200, "repetition_penalty": 5}
    job = Client(served.url, verbose=False).submit(many, **slow, api_name="/batch")
    while not job.outputs() or not job.outputs()[-1]:
        assert not job.done()
        time.sleep(0.05)
    message = {"text": ASK, "files": [handle_file(GLASS)]}
    reply = Client(served.url, verbose=False).predict(message, **SHORT, api_name="/chat")
    assert reply
    assert not job.done()
    job.cancel()


def test_no_user_fills_the_places_for_batches(served: Served, client: Client, tmp_path: Path):
    clip = tmp_path / "clip.wav"
    clip.write_bytes(wav(tone(8.0)))
    many = [{"audio": handle_file(clip), "prompt": f"Question {n}?"} for n in range(40)]
    slow: dict[str, Any] = {"max_new_tokens": 200, "repetition_penalty": 5}
    jobs = [client.submit(many, **slow, api_name="/batch") for _ in range(OWN_BATCHES + 1)]
    refused = next(as_completed(job.future for job in jobs))
    with pytest.raises(AppError, match=r"of your batches are running already.*\(request \w{8}\)"):
        refused.result()
    other = Client(served.url, verbose=False)
    (row,) = other.predict([handle_file(GLASS)], task="sound", **SHORT, api_name="/batch")
    assert row["reply"]
    assert not all(job.done() for job in jobs)
    for job in jobs:
        job.cancel()


@pytest.mark.parametrize(
    ("clips", "how", "said"),
    [
        ([], {}, "nothing to do"),
        ([{"path": "/etc/hostname"}], {}, "handle_file"),
        (["/etc/hostname"], {}, "handle_file"),
        ([{"audio": "http://x/a.wav", "prompt": 3}], {}, "handle_file"),
        (["http://x/a.wav"], {"task": "sing"}, "no task"),
        (["http://x/a.wav"], {"task": "translate", "language": "klingon"}, "no translation"),
        (["http://x/a.wav"], {"temperature": -1}, "temperature"),
    ],
)
def test_what_it_cannot_do_is_told_in_a_sentence(
    client: Client, clips: list[Any], how: dict[str, Any], said: str
):
    with pytest.raises(AppError, match=said):
        client.predict(clips, **how, api_name="/batch")


def test_it_is_documented(client: Client):
    described: Any = client.view_api(return_format="dict", print_info=False)
    endpoint = described["named_endpoints"]["/batch"]
    names = [parameter["parameter_name"] for parameter in endpoint["parameters"]]
    assert names[:4] == ["clips", "task", "language", "prompt"]
