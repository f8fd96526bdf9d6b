"""The histories that the page shows, keeps in the browser and tells the model."""

import json

import pytest

from demo.conversation import from_history
from demo.ui import history as past


def spoken(history: past.History) -> list[str]:
    return [past.text_of(message) for message in history]


def test_a_send_is_its_clips_and_then_its_words(clip: str):
    turn = past.user_turn("What is that?", [clip, clip])
    assert past.paths_of(turn[:1]) == [clip, clip]
    assert spoken(turn[1:]) == ["What is that?"]
    assert len(from_history(turn)) == 1


@pytest.mark.parametrize(("words", "paths"), [("", []), ("  \n", [])])
def test_nothing_typed_and_nothing_attached_is_no_turn(words: str, paths: list[str]):
    assert past.user_turn(words, paths) == []


def test_split_finds_the_last_turn_and_the_turn_at_a_message(clip: str):
    first, second = past.user_turn("one", [clip]), past.user_turn("two", [clip])
    history = [*first, *past.said("1"), *second, *past.said("2")]
    assert past.split(history) == ([*first, *past.said("1")], second, past.said("2"))
    for index in (0, 1):
        assert past.split(history, index) == ([], first, history[2:])


def test_an_edit_keeps_the_clips_and_drops_what_came_after(clip: str):
    history = [*past.user_turn("one", [clip]), *past.said("1"), *past.user_turn("two", [])]
    changed = past.edited(history, 1, "another")
    assert past.paths_of(changed) == [clip]
    assert spoken(changed) == ["", "another"]
    assert spoken(history) == ["", "one", "1", "two"]  # not changed in place


def test_an_edit_to_nothing_leaves_the_clips_alone(clip: str):
    changed = past.edited([*past.user_turn("one", [clip]), *past.said("1")], 1, "")
    assert past.paths_of(changed) == [clip]
    assert len(changed) == 1


def test_a_turn_that_failed_is_not_told_to_the_model(clip: str):
    failed = [*past.user_turn("broken", [clip]), past.note("bad", "error")]
    history = [*past.user_turn("one", []), *past.said("1"), *failed, *past.user_turn("two", [])]
    told = past.answered_only(history)
    assert spoken(told) == ["one", "1", "two"]


def test_notes_between_a_turn_and_its_reply_keep_the_turn(clip: str):
    heard = [*past.user_turn("one", [clip]), past.note("0:38 of audio", "heard-0")]
    history = [*heard, *past.said("1"), *past.user_turn("two", [])]
    roles = [turn["role"] for turn in from_history(past.answered_only(history))]
    assert roles == ["user", "assistant", "user"]


def test_a_turn_stopped_before_its_first_word_says_so():
    history = [*past.user_turn("one", []), past.note("Waiting", "pending", pending=True)]
    settled = past.settled(history, "en")
    assert past.kind_of(settled[-1]) == "stopped"
    assert past.settled(settled, "en") == settled


def test_a_browser_keeps_the_newest_turns_within_its_limit(clip: str):
    turns = [[*past.user_turn(f"question {n}", [clip]), *past.said("x" * 200)] for n in range(20)]
    history = [message for turn in turns for message in turn]
    kept = past.kept(history, limit=3000)
    assert len(json.dumps(kept)) <= 3000
    assert kept == past.kept(history)[-len(kept) :]
    assert past.paths_of(kept[:1]) == [clip]  # a whole turn comes first


def test_what_a_browser_keeps_is_restored(clip: str):
    history = [*past.user_turn("one", [clip]), *past.said("1"), past.note("n", "error")]
    kept = json.loads(json.dumps(past.kept(history)))
    assert past.restored(kept, str, "en") == [
        {**message, "content": message["content"]} for message in history
    ]


def test_a_clip_that_is_gone_is_marked_and_the_words_stay(clip: str):
    kept = past.kept([*past.user_turn("one", [clip]), *past.said("1")])
    shown = past.restored(kept, lambda path: "", "en")
    assert "tone.wav" in shown[0]["metadata"]["title"]
    assert spoken(shown) == ["", "one", "1"]
    assert past.paths_of(shown) == []


def test_a_clip_that_is_gone_meanwhile_leaves_every_message_in_its_place(clip: str):
    history = [*past.user_turn("one", [clip, "/gone/a.wav"]), *past.said("1"),
               *past.user_turn("two", ["/gone/b.wav", "/gone/c.wav"]), *past.said("2")]  # fmt: skip
    shown = past.present(history, lambda path: path if path == clip else "", "en")
    assert [*shown[:3], *shown[4:]] == [*history[:3], *history[4:]]
    assert "b.wav: this clip is no longer" in shown[3]["metadata"]["title"]
    assert past.present(history, str, "en") == history
    edited = past.edited(shown, 4, "three")
    assert edited[:4] == shown[:4]
    assert spoken(edited[4:]) == ["three"]
    assert past.gone_in(shown) == shown[3]["metadata"]["title"]
