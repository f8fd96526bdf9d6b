"""A Chatbot's history becomes the model's conversation, and the way back."""

import copy
import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio.components.chatbot import ChatbotDataMessages
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.conversation import ConversationError, check, from_history, to_history, with_windows
from tests.conversation_parts import assistant, clip, user, words


def test_words_of_two_messages_are_kept_apart_by_a_line_break() -> None:
    turn = from_history([user(words("one")), user(words("two")), user(clip("a")), user(words("3"))])
    assert turn[0]["content"] == [
        words("one"),
        words("\ntwo"),
        {"type": "audio", "audio_url": "a"},
        words("3"),
    ]


@pytest.mark.parametrize("system", [None, "", "  \n"])
def test_a_blank_system_prompt_is_none(system: str | None) -> None:
    assert from_history([user(words("hi"))], system)[0]["role"] == "user"


def test_a_system_message_of_the_history_counts_where_none_is_given() -> None:
    history = [{"role": "system", "content": "from history"}, user(words("hi"))]
    assert from_history(history)[0] == {"role": "system", "content": "from history"}
    assert from_history(history, "given")[0] == {"role": "system", "content": "given"}
    assert [turn["role"] for turn in from_history(history, "given")] == ["system", "user"]


def test_what_nobody_said_is_left_out() -> None:
    history = [
        user(words("first")),
        assistant("", title=""),
        user(words("   ")),
        assistant("Thinking about it", title="Reasoning", status="done"),
        user(clip("a.wav")),
        assistant("The file is damaged.", title="Error"),
    ]
    conversation = from_history(history)
    assert [turn["role"] for turn in conversation] == ["user"]
    assert conversation[0]["content"] == [words("first"), {"type": "audio", "audio_url": "a.wav"}]
    assert from_history([]) == []


def test_a_clip_in_an_assistants_message_is_not_what_the_model_said() -> None:
    spoken = {"role": "assistant", "content": [clip("reply.wav"), words("Hello")]}
    assert from_history([user(words("hi")), spoken])[1]["content"] == "Hello"


def through_the_chatbot(value: list[Any]) -> list[dict[str, Any]]:
    """What a handler gets of a Chatbot that another handler has set to `value`."""
    chatbot = gr.Chatbot(render=False)
    shown = chatbot.postprocess(value).model_dump()
    return chatbot.preprocess(ChatbotDataMessages(root=shown))  # pyright: ignore[reportReturnType]


@pytest.fixture
def wav(tmp_path: Path) -> str:
    import soundfile

    path = tmp_path / "hello there.wav"
    soundfile.write(path, np.zeros(1600, dtype=np.float32), 16_000)
    return str(path)


def test_every_way_to_put_a_clip_into_a_chatbot_is_read(wav: str) -> None:
    values: list[Any] = [
        {"role": "user", "content": {"path": wav}},
        {"role": "user", "content": [{"path": wav}]},
        {"role": "user", "content": [clip(wav)]},
        {"role": "user", "content": gr.FileData(path=wav)},
        gr.ChatMessage(role="user", content=gr.FileData(path=wav)),
    ]
    for value in values:
        expected = [{"role": "user", "content": [{"type": "audio", "audio_url": wav}]}]
        assert from_history(through_the_chatbot([value])) == expected, value


def test_a_component_in_a_chatbot_is_refused(wav: str) -> None:
    """The page puts none into its own, and Gradio builds whatever a browser names."""
    part = {"type": "component", "component": "audio", "value": {"path": wav}}
    with pytest.raises(ConversationError) as caught:
        from_history([{"role": "user", "content": [part]}])
    assert caught.value.key == "part"


def test_plain_text_values_are_read() -> None:
    history = through_the_chatbot(
        [{"role": "user", "content": "hi"}, gr.ChatMessage(content="hello")]
    )
    assert from_history(history) == [
        {"role": "user", "content": [words("hi")]},
        {"role": "assistant", "content": "hello"},
    ]
    assert from_history([{"role": "user", "content": "hi"}]) == from_history(history)[:1]


texts = st.text(alphabet="ab<|>_中😀\n *", max_size=8)
parts = st.one_of(texts.map(words), st.sampled_from(["/a.wav", "b.mp3"]).map(clip))
messages = st.one_of(
    st.lists(parts, max_size=3).map(lambda some: user(*some)),
    st.builds(assistant, texts, title=st.sampled_from(["", "Reasoning"])),
)


@settings(max_examples=200)
@given(st.lists(messages, max_size=6), texts)
def test_any_history_survives_the_way_there_and_back(history: Any, system: str) -> None:
    before = copy.deepcopy(history)
    conversation = from_history(history, system)
    assert history == before
    kept = copy.deepcopy(conversation)
    assert from_history(to_history(conversation)) == conversation == kept
    roles = [turn["role"] for turn in conversation]
    assert all(one != other for one, other in pairwise(roles))
    if roles and roles[-1] == "user":
        assert check(conversation_with_urls(conversation)) == conversation_with_urls(conversation)


def conversation_with_urls(conversation: Any) -> Any:
    text = json.dumps(conversation).replace('"audio_url": "', '"audio_url": "https://x/')
    return json.loads(text)


def test_the_way_back_shows_what_was_typed() -> None:
    history = [user(clip("a.wav"), words("is <|AUDIO|> a token?")), assistant("<|no|>")]
    assert to_history(from_history(history)) == [
        {"role": "user", "content": [{"type": "file", "file": {"path": "a.wav"}},
                                     words("is <|AUDIO|> a token?")]},
        {"role": "assistant", "content": [words("<|no|>")]},
    ]  # fmt: skip


@dataclass
class Cut:
    """As much of a Clip as `with_windows` asks for."""

    name: str
    parts: int

    def windows(self) -> list[np.ndarray]:
        return [np.full(4, number, dtype=np.float32) for number in range(self.parts)]


def test_each_window_of_a_clip_gets_its_own_audio_part() -> None:
    conversation = from_history(
        [user(clip("long.wav"), words("and"), clip("short.wav")), assistant("ok"), user(words("?"))]
    )
    before = copy.deepcopy(conversation)
    heard: dict[str, Any] = {"long.wav": Cut("long", 3), "short.wav": Cut("short", 1)}
    windowed, windows, clips = with_windows(conversation, heard.__getitem__)
    assert conversation == before
    urls = [part.get("audio_url") for part in windowed[0]["content"]]
    assert urls == ["long.wav", "long.wav", "long.wav", None, "short.wav"]
    assert [int(window[0]) for window in windows] == [0, 1, 2, 0]
    assert clips == [heard["long.wav"], heard["short.wav"]]
    assert windowed[1:] == conversation[1:]


def test_a_history_of_an_unknown_shape_is_refused() -> None:
    with pytest.raises(ConversationError):
        from_history([{"role": "user", "content": [{"type": "plot"}]}])
    with pytest.raises(ConversationError):
        from_history([{"role": "robot", "content": "hi"}])
    with pytest.raises(ConversationError):
        from_history([user(words("hi")), {"role": "system", "content": "obey"}])
