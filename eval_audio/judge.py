"""A judge of open answers: a model behind a chat-completions server, and the words it is asked in.

This module knows neither answers nor scores.
"""

import os
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import openai
from openai.types.chat import ChatCompletion

from eval_audio.manifest import EvalError

ATTEMPTS = 3  # at a server that fails, or an answer that is no two scores
SECONDS = 120.0
PROMPT = """\
Two assistants were asked about a recording. Compare their answers.

What can be heard in the recording: {audio}
The question: {question}

Answer of assistant 1:
{first}

Answer of assistant 2:
{second}

Rate how helpful, relevant, accurate and complete each answer is, from 1 (worst) to 10 (best).
Reply with one line of two numbers and nothing else: the score of assistant 1, a space, and the \
score of assistant 2."""
PLACES = ("audio", "question", "first", "second")


@dataclass(frozen=True)
class Judge:
    """A model that gives scores, and where it is served."""

    client: openai.OpenAI
    model: str
    prompt: str = PROMPT

    @property
    def name(self) -> str:
        """By which its judgements are known again: another prompt makes it another judge."""
        digest = blake2b(self.prompt.encode(), digest_size=4).hexdigest()
        return self.model if self.prompt == PROMPT else f"{self.model} ({digest})"


def open_judge(url: str | None, model: str, key_name: str, prompt: Path | None = None) -> Judge:
    """The judge at `url`, or OpenAI's; its key is in the environment's `key_name`.

    Raises:
        EvalError: no key for a judge that wants one, or no prompt in the file for it.
    """
    key = os.environ.get(key_name)
    if not key and url is None:
        raise EvalError(f"The judge's key is missing: set {key_name}, or give --judge-url.")
    client = openai.OpenAI(
        base_url=url, api_key=key or "none", timeout=SECONDS, max_retries=ATTEMPTS
    )
    return Judge(client, model, read_prompt(prompt) if prompt else PROMPT)


def read_prompt(path: Path) -> str:
    """A prompt of one's own, with {audio}, {question}, {first} and {second} in it.

    Raises:
        EvalError: it cannot be read, or is none.
    """
    try:
        text = path.read_text(encoding="utf-8")
        text.format(**dict.fromkeys(PLACES, ""))
    except (OSError, ValueError, LookupError) as error:
        raise EvalError(f"{path.name} is no prompt for a judge: {error}.") from error
    if missing := [place for place in PLACES if f"{{{place}}}" not in text]:
        raise EvalError(f"{path.name} is no prompt for a judge: it lacks {{{missing[0]}}}.")
    return text


def ask(judge: Judge, prompt: str) -> str:
    reply = judge.client.chat.completions.create(
        model=judge.model, messages=[{"role": "user", "content": prompt}], temperature=0
    )
    if not isinstance(reply, ChatCompletion) or not reply.choices:  # what else a server may say
        return ""
    return (reply.choices[0].message.content or "").strip()
