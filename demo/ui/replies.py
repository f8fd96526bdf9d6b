"""A tab's history as the replies to it grow, with the page's own notes on what happens.

It knows the engine only by its replies, and nothing of the page's components.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from demo.audio import Clip, describe
from demo.messages import Language, Message, UserError
from demo.ui import history as past
from demo.ui.history import History
from demo.ui.kit import Kit
from demo.ui.panel import chosen
from demo.ui.strings import SENTENCES
from demo.ui.turn import Reply, paced, reply
from demo.watching import place_of, request_id

log = logging.getLogger(__name__)


def replies(
    kit: Kit,
    history: History,
    script: Sequence[History],
    request: gr.Request,
    fields: Sequence[Any],
) -> Iterator[History]:
    """The history with the reply to its last turn, then with those to `script`'s, as they grow.

    `fields` are the settings panel's. An error becomes a note after the words that have come, and
    ends it.
    """
    language, shown = kit.language(request), history
    try:
        for turn in [[], *script]:
            shown = asked = [*shown, *turn]
            for shown in _replied(kit, asked, request, fields):
                yield shown
        return
    except UserError as error:
        text = numbered(error.say(language), error, language)
    except Exception as error:  # at the page's edge: after an error of ours the entry is given back
        log.error("request %s failed: %s", request_id(error), place_of(error))
        text = numbered(_say("failed", language), error, language)
    yield [*past.without_pending(shown), past.note(text, "error")]


def _replied(
    kit: Kit, history: History, request: gr.Request, fields: Sequence[Any]
) -> Iterator[History]:
    language = kit.language(request)
    system, options = chosen(*fields)
    count = len(past.paths_of(past.split(history)[1]))
    text, heard = "", history
    for now in paced(reply(history, system, options, kit.desk(request))):
        clips = now.clips[len(now.clips) - count :]
        text, heard = now.text, [*history, *_notes(clips, language)]
        yield [*heard, *(past.said(text) or [_awaited(now, language)])]
    silent = past.note(_say("silent", language), "silent")
    yield [*heard, *(past.said(text) or [silent])]


def _awaited(now: Reply, language: Language) -> dict[str, Any]:
    """What is told while there is no word of the reply."""
    if now.loading:
        told = _say("still_loading", language, status=now.loading.text.say(language))
    elif now.ahead:
        told = _say("in_line", language, ahead=now.ahead)
    else:
        told = _say("listening", language)
    return past.note(told, "pending", pending=True)


def _notes(clips: Sequence[Clip], language: Language) -> list[dict[str, Any]]:
    """What the person should know of the clips that were heard: long ones, damaged ones."""
    return [
        past.note(sentence, f"heard-{number}")
        for number, sentence in enumerate(
            text for clip in clips for text in _remarks(clip, language)
        )
    ]


def _remarks(clip: Clip, language: Language) -> list[str]:
    parts = [f"{clip.name}: {describe(clip).say(language)}"] if len(clip.windows()) > 1 else []
    return parts + [warning.say(language) for warning in clip.warnings]


def numbered(text: str, error: Exception, language: Language) -> str:
    """With the id by which the host finds the request in the log."""
    found = request_id(error)
    return text + _say("request", language, id=found) if found else text


def _say(key: str, language: Language, **values: object) -> str:
    return Message(SENTENCES, key, **values).say(language)
