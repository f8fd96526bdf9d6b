"""The API's `/batch`: many clips, one question, the rows as they are done."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import gradio as gr
from gradio.events import api

from demo.batch.lines import as_json
from demo.batch.rows import Row, question
from demo.batch.work import Done, Manner
from demo.ui.api import options_given
from demo.ui.batch import ROWS_A_SECOND, YIELD_SECONDS, manner_of, worked
from demo.ui.batch_rows import rows_asked
from demo.ui.kit import Kit, user_of
from demo.ui.turn import until_ready

Rows = list[dict[str, Any]]


def build_batch_api(kit: Kit) -> None:
    """Adds the endpoint to the page that is being built."""

    def batch(
        clips: list[dict[str, Any]],
        task: str = "transcribe",
        language: str = "english",
        prompt: str | None = None,
        system_prompt: str | None = None,
        max_new_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        repetition_penalty: float | None = None,
        seed: int | None = None,
        request: gr.Request | None = None,
    ) -> Iterator[Rows]:
        """Ask one question of many clips; a clip that fails is one row with its error.

        Args:
            clips: uploaded files (handle_file), http(s) or data: URLs, or objects {"audio": one
                of these, "prompt": "…", "gt": "…"}; or an uploaded manifest (.jsonl, .csv or .tsv
                with audio, prompt, gt) and the files that it names.
            task: transcribe, translate, describe, sound, emotion, music, own or raw.
            language: of a translation: english, chinese, french, german, japanese or spanish.
            prompt: your own words for the task own, or the base model's prompt for raw.
            system_prompt: what the model is told before each clip.
            max_new_tokens: the longest reply, in tokens.
            temperature: 0, the default of a batch, always takes the likeliest token.
            top_p: sample from the likeliest tokens that make up this share.
            top_k: sample from this many of the likeliest tokens.
            repetition_penalty: above 1 makes repetition rarer.
            seed: makes sampling repeatable.
            request: who asks, as Gradio knows it.

        Returns:
            The rows done so far, as {"row": number, "audio", "prompt", "reply", "seconds",
            "gt", "error", "model"}, and at the end all of them in their order.
        """
        given = (max_new_tokens, temperature, top_p, top_k, repetition_penalty, seed)
        rows = rows_asked(clips, question(task, language, prompt, "en"))
        manner = manner_of(system_prompt, options_given(*given), user_of(request))
        yield from _answered(rows, manner, kit)

    api(batch, api_name="batch", concurrency_limit=None)


def _answered(rows: Sequence[Row], manner: Manner, kit: Kit) -> Iterator[Rows]:
    for _ in until_ready(kit.loading, kit.patience):
        yield []
    engine, found, due = kit.loading.wait(0), [], 0.0
    with closing(worked(dict(enumerate(rows)), manner, engine, kit)) as coming:
        for done in coming:
            found = found if done is None else [*found, _told(done, engine.info.model)]
            if (now := time.monotonic()) >= due:  # also without news: there it can be closed
                due = now + YIELD_SECONDS + len(found) / ROWS_A_SECOND
                yield found
    yield sorted(found, key=lambda one: one["row"])


def _told(done: Done, model: str) -> dict[str, Any]:
    return {"row": done.place, **as_json(done, model)}
