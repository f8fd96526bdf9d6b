"""What a clip's address is, in every room that asks."""

from base64 import b64encode

import pytest

from demo.addresses import is_data_url, is_outside, is_url
from demo.audio import Ear
from demo.batch.rows import Row
from demo.conversation import check
from demo.hearing.rules import UNNAMED
from demo.ui.batch_rows import rows_asked
from tests.sounds import wav


@pytest.mark.parametrize(("text", "data", "outside"), [
    ("data:audio/wav;base64,AA", True, True),
    ("DATA:audio/wav;base64,AA", True, True),
    ("http://x/a.wav", False, True),
    ("HTTPS://x/a.wav", False, True),
    ("http:a.wav", False, False),
    ("ftp://x/a.wav", False, False),
    ("file:///etc/passwd", False, False),
    ("/etc/data:x", False, False),
    ("C:\\a.wav", False, False),
    ("", False, False),
])  # fmt: skip
def test_an_address_is_known_in_any_case(text: str, data: bool, outside: bool):
    assert is_data_url(text) is data
    assert is_outside(text) is outside
    assert is_outside(text) <= (is_url(text) or is_data_url(text))


@pytest.mark.parametrize("scheme", ["data", "DATA", "Data"])
def test_a_data_url_is_heard_in_every_room(scheme: str):
    url = f"{scheme}:audio/wav;base64,{b64encode(wav()).decode()}"
    assert Ear().hear(url).name == UNNAMED
    assert Row(url, "What?").name == UNNAMED
    (row,) = rows_asked([url], "What?")
    assert row.audio == url
    turn = {"role": "user", "content": [{"type": "audio", "audio_url": url}]}
    assert check([turn])[0]["content"] == turn["content"]
