"""What an API's caller sends as a conversation: taken, or refused with the turn that is wrong."""

import copy
import re
from typing import Any

import pytest

from demo.conversation import ConversationError, check
from tests.conversation_parts import words


def test_check_takes_what_the_model_card_shows() -> None:
    conversation = [
        {"role": "system", "content": "You are a helpful assistant."},
        {
            "role": "user",
            "content": [
                {"type": "audio", "audio_url": "https://example.org/glass.mp3"},
                {"type": "text", "text": "What's that sound?"},
            ],
        },
        {"role": "assistant", "content": "It is the sound of glass shattering."},
        {"role": "user", "content": [{"type": "audio", "audio_url": "data:audio/wav;base64,AA"}]},
    ]
    before = copy.deepcopy(conversation)
    assert check(conversation) == before == conversation


def test_check_takes_an_upload_and_brings_contents_into_one_form() -> None:
    upload = {"path": "/tmp/gradio/x/a.wav", "meta": {"_type": "gradio.FileData"}}
    conversation = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [words("one"), words(" two")]},
        {"role": "user", "content": [{"type": "audio", "audio_url": upload}]},
    ]
    assert check(conversation) == [
        {"role": "user", "content": [words("hi")]},
        {"role": "assistant", "content": "one two"},
        {"role": "user", "content": [{"type": "audio", "audio_url": "/tmp/gradio/x/a.wav"}]},
    ]


OK = {"role": "user", "content": "hi"}
AUDIO = {"type": "audio", "audio_url": "https://x/a.wav"}
WRONG: list[tuple[Any, str, str]] = [
    ("hello", "not_a_list", "'hello'"),
    ({"role": "user"}, "not_a_list", "{'role': 'user'}"),
    (None, "not_a_list", "None"),
    ([], "empty", "no turns"),
    ([OK, "hi"], "not_a_turn", "Turn 2"),
    ([{"role": "user"}], "not_a_turn", "{'role': 'user'}"),
    ([{"content": "x"}], "not_a_turn", "Turn 1"),
    ([{"role": "tool", "content": "x"}], "role", "'tool'"),
    ([{"role": 1, "content": "x"}], "role", "role 1;"),
    ([OK, {"role": "system", "content": "x"}, OK], "system", "Turn 2"),
    ([{"role": "user", "content": 3}], "content", "content 3;"),
    ([{"role": "user", "content": []}], "content", "[]"),
    ([{"role": "user", "content": None}], "content", "None"),
    ([{"role": "user", "content": ["x"]}], "part", "'x'"),
    ([{"role": "user", "content": [{"type": "image", "url": "x"}]}], "part", "'image'"),
    ([{"role": "user", "content": [{"type": "text", "text": 5}]}], "part", "5"),
    ([{"role": "user", "content": [{"type": "audio"}]}], "part", "'audio'"),
    ([OK, {"role": "assistant", "content": [AUDIO]}, OK], "part", "Turn 2"),
    ([{"role": "system", "content": [AUDIO]}, OK], "part", "Turn 1"),
    ([{"role": "user", "content": [{**AUDIO, "audio_url": 7}]}], "audio_url", "7"),
    ([{"role": "user", "content": [{**AUDIO, "audio_url": "/etc/passwd"}]}], "audio_url", "passwd"),
    ([{"role": "user", "content": [{**AUDIO, "audio_url": "file:///x"}]}], "audio_url", "file:"),
    ([{"role": "user", "content": [{**AUDIO, "audio_url": {"path": "/x"}}]}], "audio_url", "/x"),
    ([OK, {"role": "assistant", "content": "x"}], "last", "'assistant'"),
]


@pytest.mark.parametrize(("conversation", "key", "shown"), WRONG)
def test_check_says_what_is_wrong_in_which_turn(conversation: Any, key: str, shown: str) -> None:
    with pytest.raises(ConversationError) as caught:
        check(conversation)
    assert caught.value.key == key
    assert shown in str(caught.value)
    assert re.search(r"[\u4e00-\u9fff]", caught.value.say("zh"))


def test_a_long_wrong_value_is_not_repeated_whole() -> None:
    with pytest.raises(ConversationError) as caught:
        check([{"role": "user", "content": [{"type": "image", "data": "A" * 10_000}]}])
    assert len(str(caught.value)) < 300
