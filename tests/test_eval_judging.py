"""AIR-Bench's judging, by a real server that speaks the chat-completions protocol."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import soundfile

from eval_audio import judging as rooms
from eval_audio.__main__ import main
from eval_audio.judge import ATTEMPTS, open_judge
from eval_audio.judging import judge_all, questions, scores_in
from eval_audio.manifest import EvalError, Row
from tests.judge import judging
from tests.model_card import ModelCard
from tests.serving import ROOT

pytestmark = pytest.mark.slow

SIREN = str(ROOT / "assets" / "examples" / "siren-loud.flac")
KEY = "EVAL_TEST_JUDGE_KEY"


def answers(body: dict[str, Any]) -> tuple[str, str]:
    """The two answers that a judge was given, in their order."""
    text = body["messages"][0]["content"]
    first, second = (re.search(rf"Answer of assistant {n}:\n(.*)\n", text) for n in (1, 2))
    assert first
    assert second
    return first[1], second[1]


def fond_of_the_first(body: dict[str, Any]) -> str:
    """Gives the reference 8 and anything else 4, and one more to what it reads first."""
    scores = [8 if text.startswith("ref") else 4 for text in answers(body)]
    return f"{scores[0] + 1} {scores[1]}"


def rows(*kinds: str) -> list[Row]:
    return [
        Row(number, "a.wav", f"question {number}", None, "chat", {
            "id": f"id-{number}", "query": f"question {number}", "meta_info": "a siren",
            "answer_gt": f"ref {number}", "task_name": kind,
        })
        for number, kind in enumerate(kinds, 1)
    ]  # fmt: skip


def replied(asked: list[Row]) -> list[dict[str, Any]]:
    return [{"row": row.number, "response": f"answer {row.number}"} for row in asked]


def judged(reply: rooms.Callable[[dict[str, Any]], str | int], asked: list[Row], folder: Path):
    """The scores, and what the judge was asked."""
    with judging(reply) as (url, heard):
        judge = open_judge(url, "grader", KEY)
        found = judge_all(judge, questions(asked, {}), replied(asked), folder, lambda count: None)
    return found, heard


def test_an_answer_is_judged_in_both_orders_and_its_scores_averaged(tmp_path, monkeypatch):
    monkeypatch.setenv(KEY, "a secret")
    found, heard = judged(fond_of_the_first, rows("sound_QA"), tmp_path)
    assert found == {1: (4 + 5) / 2}
    orders = {answers(body) for _, _, body in heard}
    assert orders == {("ref 1", "answer 1"), ("answer 1", "ref 1")}
    path, authorization, body = heard[0]
    assert (path, authorization) == ("/v1/chat/completions", "Bearer a secret")
    assert (body["model"], body["temperature"]) == ("grader", 0)
    text = body["messages"][0]["content"]
    assert "the recording: a siren\nThe question: question 1\n" in text


def test_a_judge_may_be_asked_in_words_from_a_file(tmp_path):
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("{audio} | {question} | {first} | {second}")
    with judging(lambda body: "7 6") as (url, heard):
        judge = open_judge(url, "grader", KEY, prompt)
        found = judge_all(
            judge, questions(asked := rows("sound_QA"), {}), replied(asked), tmp_path, print
        )
    assert found == {1: (6 + 7) / 2}
    assert {body["messages"][0]["content"] for _, _, body in heard} == {
        "a siren | question 1 | ref 1 | answer 1",
        "a siren | question 1 | answer 1 | ref 1",
    }
    assert judge.name.startswith("grader (")  # what another prompt gave is not taken for this one's


@pytest.mark.parametrize("text", ["{audio} {question} {first}", "{audio", "{other}"])
def test_a_file_that_is_no_prompt_is_named(text: str, tmp_path):
    prompt = tmp_path / "prompt.txt"
    prompt.write_text(text)
    with pytest.raises(EvalError, match=r"prompt\.txt is no prompt for a judge"):
        open_judge("http://127.0.0.1:9/v1", "grader", KEY, prompt)


def test_a_judge_that_babbles_is_asked_again_and_then_given_up(tmp_path):
    said: dict[tuple[str, str], int] = {}

    def babble(body: dict[str, Any]) -> str:
        pair = answers(body)
        said[pair] = said.get(pair, 0) + 1
        if "answer 2" in pair:
            return "Both are fine."
        return "7 6" if said[pair] == 2 else "I would say 7 and 6"

    found, heard = judged(babble, rows("sound_QA", "sound_QA"), tmp_path)
    assert found == {1: (6 + 7) / 2}
    assert len(heard) == 2 * 2 + 2 * ATTEMPTS
    kept = [json.loads(line) for line in (tmp_path / rooms.NAME).read_text().splitlines()]
    errors = [one["error"] for one in kept if one["row"] == 2]
    assert errors == ["no two scores from 0 to 10: Both are fine."] * 2


@pytest.mark.parametrize(
    ("reply", "error"),
    [(400, "BadRequestError"), ("<html>hello", "no two scores"), ("\ud800 5", "no two scores")],
)
def test_a_judge_that_fails_is_an_error_of_the_row(reply, error, tmp_path):
    found, _ = judged(lambda body: reply, rows("sound_QA"), tmp_path)
    assert found == {}
    kept = [json.loads(line) for line in (tmp_path / rooms.NAME).read_text().splitlines()]
    assert [one["error"].startswith(error) for one in kept] == [True, True]


def test_judgements_are_kept_and_only_the_rest_is_asked_for(tmp_path):
    asked = rows("sound_QA", "sound_QA")
    first, _ = judged(fond_of_the_first, asked, tmp_path)
    path = tmp_path / rooms.NAME
    lines = path.read_text().splitlines()
    other = [json.dumps({**json.loads(line), "answer": "of before"}) for line in lines[:1]]
    path.write_text("\n".join([*other, *lines[1:-1], lines[-1][:30]]))
    again, heard = judged(fond_of_the_first, asked, tmp_path)
    assert again == first
    assert len(heard) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8 6", (8, 6)),
        (" 10 0\n", (10, 0)),
        ("7.5, 6", (7.5, 6)),
        ("11 3", None),
        ("8", None),
        ("8 6 5", None),
        ("Scores: 8 6", None),
        ("", None),
    ],
)
def test_scores_are_two_numbers_and_nothing_else(text, expected):
    assert scores_in(text) == expected


def test_mixed_audio_is_the_mean_of_its_two_tasks():
    asked = questions(rows("speech_and_sound_QA", "speech_and_sound_QA", "speech_and_music_QA"), {})
    assert {question.group for question in asked.values()} == {"mixed-audio"}
    pairs = list(zip(asked.values(), (4.0, 6.0, 9.0), strict=True))
    assert rooms.mean_of_halves(rooms.counts(pairs).sum(0)) == (5 + 9) / 2
    assert rooms.mean_of_halves(rooms.counts(pairs[:2]).sum(0)) == 5


def test_a_judge_of_openais_wants_a_key(monkeypatch):
    monkeypatch.delenv(KEY, raising=False)
    with pytest.raises(EvalError, match=f"set {KEY}, or give --judge-url"):
        open_judge(None, "gpt", KEY)


def test_a_chat_is_answered_judged_and_stood_beside_the_published(tmp_path, card, capsys):
    """AIR-Bench's own files: the questions of one, the references of the other."""
    manifest, meta = tmp_path / "airbench_level_3_eval.jsonl", tmp_path / "Chat_meta.json"
    query = "<|audio_bos|><|AUDIO|><|audio_eos|>What is that sound?"
    lines = [{"id": 1, "audio": SIREN, "query": query}, {"id": 2, "audio": SIREN, "query": query}]
    lines += [{"id": 3, "audio": "gone.wav", "query": query}]
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    known = {"uniq_id": 1, "question": "What?", "answer_gt": "ref", "meta_info": "a siren"}
    meta.write_text(json.dumps([{**known, "task_name": "sound_QA", "path": "x"}]))
    words = f"--task chat --model preview --device cpu --dtype float32 --output {tmp_path / 'out'}"
    flags = [*words.split(), "--manifest", str(manifest)]
    assert main(flags) == 0
    unjudged = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [group["value"] for group in unjudged["groups"]] == [None]
    with judging(fond_of_the_first) as (url, heard):
        judge = ["--judge-url", url, "--judge-model", "grader", "--references", str(meta)]
        assert main([*flags, *judge]) == 0
    printed = capsys.readouterr().out
    assert "| sound | **this run** | judge's score | 4.50 | 4.50 to 4.50 | | 1 | 0 |" in printed
    assert "| | Qwen2-Audio (Hugging Face) | GPT-4 score | 6.83 | | -2.33 | | |" in printed
    result = json.loads(printed.splitlines()[-1])
    assert (result["judge"], result["errors"]) == ("grader", 1)
    said = {text for _, _, body in heard for text in answers(body)}
    assert said == {"ref", as_the_original_asks(card, query)}


def as_the_original_asks(card: ModelCard, query: str) -> str:
    """The reply to a query that holds the place of its clip itself, as text of a turn."""
    turn = [{"role": "user", "content": query}]
    text = card.processor.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
    samples, rate = soundfile.read(SIREN, dtype="float32")
    inputs = card.processor(text=text, audio=samples, sampling_rate=rate, return_tensors="pt")
    ids = card.model.generate(**inputs, max_new_tokens=256, min_new_tokens=1, do_sample=False)
    return card.processor.decode(ids[0, inputs.input_ids.size(1) :], skip_special_tokens=True)
