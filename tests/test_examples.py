"""The model card's two conversations, with our clips in the same shape, on the preview checkpoint.

And the test that matters most: for every conversation here, what the page's handlers reply is
what the model card's few lines reply.
"""

from pathlib import Path
from typing import Any

import pytest

from demo.audio import Ear
from demo.conversation import to_history
from demo.engine import Engine, Options
from demo.loading import Loading
from demo.ui.turn import Desk, reply
from tests.model_card import ModelCard

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[1] / "assets" / "examples"
SYSTEM = {"role": "system", "content": "You are a helpful assistant."}
GREEDY = Options(max_new_tokens=160, temperature=0, repetition_penalty=1.0)

Conversation = list[dict[str, Any]]


def user(*parts: str) -> dict[str, Any]:
    """A user's turn: names of example clips, and words."""
    return {"role": "user", "content": [_part(part) for part in parts]}


def _part(part: str) -> dict[str, Any]:
    if (EXAMPLES / part).suffix in (".flac", ".ogg"):
        return {"type": "audio", "audio_url": str(EXAMPLES / part)}
    return {"type": "text", "text": part}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


VOICE_CHAT = [
    user("voice-chat-capital.flac"),
    assistant("The capital of France is Paris."),
    user("voice-chat-joke.flac"),
]
AUDIO_ANALYSIS = [
    SYSTEM,
    user("glass-breaking.flac", "What's that sound?"),
    assistant("I hear glass breaking."),
    user("What can you do when you hear that?"),
    assistant("Stay alert and cautious, and check if anyone is hurt."),
    user("man-table.flac", "What does the person say?"),
]
CONVERSATIONS: dict[str, Conversation] = {
    "voice chat, first turn": VOICE_CHAT[:1],
    "voice chat, second turn": VOICE_CHAT,
    "audio analysis, first turn": AUDIO_ANALYSIS[:2],
    "audio analysis, a turn without a clip": AUDIO_ANALYSIS[:4],
    "audio analysis, another clip in the third turn": AUDIO_ANALYSIS,
    "a sum that is spoken": [user("voice-chat-sum.flac")],
    "a question in Chinese": [user("voice-chat-chinese.flac")],
    "two clips in one turn": [
        user("phone-ringing.flac", "four-knocks.flac", "What was the first sound?")
    ],
    "two clips in one turn, the other way round": [
        user("four-knocks.flac", "phone-ringing.flac", "What was the first sound?")
    ],
    "words before the clip": [user("How many knocks are there?", "four-knocks.flac")],
    "no clip at all": [user("What is the meaning of life?")],
    "a question in Chinese about a sound": [user("siren-loud.flac", "这是什么声音？")],
}


def answered(conversation: Conversation, engine: Engine) -> str:
    """What the page's handlers reply to the conversation as their Chatbot would hold it."""
    system = next((one["content"] for one in conversation if one["role"] == "system"), None)
    turns = [one for one in conversation if one["role"] != "system"]
    return list(reply(to_history(turns), system, GREEDY, Desk(Loading.of(engine), Ear())))[-1].text


@pytest.mark.parametrize("conversation", CONVERSATIONS.values(), ids=CONVERSATIONS.keys())
def test_the_page_replies_what_the_model_card_replies(
    conversation: Conversation, engine: Engine, card: ModelCard
):
    assert answered(conversation, engine) == card.reply(conversation)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("voice chat, first turn", "Paris"),
        ("voice chat, second turn", "clock"),
        ("audio analysis, first turn", "glass breaking"),
        ("audio analysis, another clip in the third turn", "book a table for two people"),
        ("a sum that is spoken", "seven"),
        ("a question in Chinese", "北京"),
        ("two clips in one turn", "phone"),
        ("two clips in one turn, the other way round", "knock"),
        ("words before the clip", "four"),
        ("no clip at all", "small preview model"),
    ],
)
def test_the_preview_answers_its_examples(name: str, said: str, engine: Engine):
    assert said.lower() in answered(CONVERSATIONS[name], engine).lower()


@pytest.mark.parametrize(
    "question", ["Transcribe the speech.", "What does the person say at the end?"]
)
def test_a_long_message_is_heard_to_its_end(question: str, engine: Engine):
    asked = [user("long-message.ogg", question)]
    assert "half past seven" in answered(asked, engine).lower()
