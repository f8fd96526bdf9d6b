"""The evaluation's metrics, beside cases counted by hand."""

import math
from functools import cache

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from eval_audio.manifest import EvalError, Row
from eval_audio.metrics import Metric, estimate, metric_for
from eval_audio.published import beside, table
from eval_audio.scoring import languages_of


@cache
def errors(language: str) -> Metric:
    return metric_for("asr", language)


def edits(language: str, reference: str, reply: str) -> tuple[int, int]:
    """How many edits, and how many words or characters the reference has."""
    found = errors(language).counts([reference], [reply])
    return found[0, 0], found[0, 1]


@pytest.mark.parametrize(
    ("reference", "reply", "expected"),
    [
        ("Hello, World!", "hello world", (0, 2)),
        ("HE SAID NOTHING", "He said 'nothing'.", (0, 3)),
        ("Mr. Brown's colour", "mister brown's color", (0, 4)),
        ("It costs twenty-one dollars.", "it costs $21", (0, 3)),
        ("I can't, um, go", "I can not go", (0, 4)),
        ("[laughter] yes (quietly)", "yes", (0, 1)),
        ("<|en|> yes , no", "yes, no<|im_end|>", (0, 2)),
        ("the cat sat on the mat", "the cat sat on mat", (1, 6)),
        ("the cat sat", "the fat cat sat up", (2, 3)),
        ("the cat sat", "", (3, 3)),
        ("", "hello there", (2, 0)),
        ("", "", (0, 0)),
        ("...", "!", (0, 0)),
    ],
)
def test_english_is_compared_by_words_and_not_by_how_they_are_written(reference, reply, expected):
    assert edits("en", reference, reply) == expected


@pytest.mark.parametrize(
    ("reference", "reply", "expected"),
    [
        ("L'été, c'est fini !", "l'été c'est fini", (0, 5)),
        ("L'été est fini", "l'ete est fini", (1, 4)),
        ("Il a 21 ans", "il a vingt et un ans", (3, 4)),
    ],
)
def test_other_languages_keep_their_accents_and_their_numbers(reference, reply, expected):
    assert edits("fr", reference, reply) == expected


@pytest.mark.parametrize(
    ("reference", "reply", "expected"),
    [
        ("今天天气很好。", "今天天气很好", (0, 6)),
        ("今天天气很好", "今天 天气，很 好！", (0, 6)),
        ("今天天气很好", "今天天氣很好", (0, 6)),
        ("今天天气很好", "今天天气不好", (1, 6)),
        ("今天天气很好", "", (6, 6)),
        ("", "好", (1, 0)),
        ("百分之二十", "20%", (0, 5)),
        ("百分之二十", "２０％", (0, 5)),
        ("二零零八年", "2008年", (0, 5)),
        ("三点五", "3.5", (0, 3)),
        ("ＡＢＣ公司", "abc公司", (0, 5)),
        ("<|zh|>你好", "你好", (0, 2)),
    ],
)
def test_mandarin_is_compared_by_characters(reference, reply, expected):
    assert edits("zh", reference, reply) == expected


@pytest.mark.parametrize(
    ("reference", "reply", "expected"),
    [
        ("佢哋喺邊度？", "佢哋喺边度", (0, 5)),
        ("佢哋喺邊度？", "你哋喺邊", (2, 5)),
        ("ＯＫ啦", "ok 啦", (0, 3)),
    ],
)
def test_cantonese_is_compared_by_simplified_characters(reference, reply, expected):
    assert edits("yue", reference, reply) == expected


@pytest.mark.parametrize("language", ["en", "fr", "zh", "yue"])
@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8")), st.text("0123456789.%/年月个-０１％ "))
def test_any_text_can_be_compared_and_equals_itself(language, text, numbers):
    assert edits(language, text + numbers, text + numbers)[0] == 0


def test_errors_are_counted_over_all_rows_and_not_averaged():
    metric = metric_for("asr", "en")
    counts = metric.counts(["a b c d", "", "e"], ["a b c d", "x y", "e"])
    assert metric.name == "WER"
    assert metric.value(counts.sum(0)) == pytest.approx(100 * 2 / 5)
    assert metric_for("asr", "zh").name == "CER"


def test_bleu_of_one_short_pair():
    metric = metric_for("s2tt", "en")
    counts = metric.counts(["the cat sat on the mat"], ["the cat sat on mat"])
    assert counts.tolist() == [[5, 6, 5, 3, 2, 1, 5, 4, 3, 2]]
    by_hand = 100 * math.exp(1 - 6 / 5) * (5 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** (1 / 4)
    assert metric.value(counts.sum(0)) == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("language", "tokenizer", "references", "replies"),
    [
        ("de", "13a", ["Das ist gut.", "Wo bist du?", "Ja"], ["Das ist es.", "Wo warst du?", ""]),
        ("zh", "zh", ["今天天气很好。", "你在哪里？"], ["今天天氣好", "你在哪儿？"]),
        (
            "ja",
            "ja-mecab",
            ["今日は天気がいいです。", "猫が好き"],
            ["今日の天気はいい", "犬が好き"],
        ),
    ],
)
def test_bleu_is_sacrebleus_own_with_the_languages_tokenizer(
    language, tokenizer, references, replies
):
    metric = metric_for("s2tt", language)
    ours = metric.value(metric.counts(references, replies).sum(0))
    theirs = sacrebleu.corpus_bleu(replies, [references], tokenize=tokenizer).score
    assert ours == pytest.approx(theirs)
    assert theirs > 0


def test_a_label_is_right_to_the_letter_but_for_blanks_around_it():
    metric = metric_for("ser", "en")
    replies = [" neutral", "joy", "Anger", "sadness."]
    counts = metric.counts(["neutral", "joy", "anger", "sadness"], replies)
    assert metric.value(counts.sum(0)) == 0.5


def test_the_bootstraps_interval_is_seeded_and_lies_around_the_value():
    rng = np.random.default_rng(0)
    counts = np.stack([rng.random(400) < 0.3, np.ones(400)], 1).astype(float)
    metric = metric_for("vsc", "en")
    first, again, other = (estimate(counts, metric.value, 500, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    error = math.sqrt(first.value * (1 - first.value) / 400)
    assert first.low == pytest.approx(first.value - 1.96 * error, abs=0.01)
    assert first.high == pytest.approx(first.value + 1.96 * error, abs=0.01)


def test_there_is_no_value_where_there_is_nothing_to_compare():
    metric = metric_for("asr", "en")
    for references in ([], [""]):
        found = estimate(metric.counts(references, references), metric.value, 50, 0)
        assert all(math.isnan(value) for value in vars(found).values())


@pytest.mark.parametrize(
    ("task", "manifest", "source", "expected"),
    [
        ("asr", "librispeech_eval", "librispeech_test_clean", (1.6, 1.7)),
        ("asr", "librispeech_eval", "librispeech_dev_other", (3.4, 3.6)),
        ("asr", "cv15_asr_zh_eval", "cv15_zh", (6.9, 6.5)),
        ("asr", "fleurs_asr_zh_eval", "fleurs_test", (7.5, 7.0)),
        ("asr", "aishell2_eval", "aishell2_ios", (3.0, 3.1)),
        ("s2tt", "covost2_eval", "covost2_en_zh_test", (45.2, 45.6)),
        ("s2tt", "covost2_eval", "covost2_zh_en_test", (24.4, 24.0)),
        ("ser", "meld_eval", "meld_test", (0.553, 0.535)),
        ("vsc", "vocalsound_eval", "VocalSound", (0.9392, 0.9395)),
        ("chat", "airbench_level_3_eval", "mixed-audio", (6.77, 6.42)),
    ],
)
def test_a_group_stands_beside_the_published_results_of_its_split(task, manifest, source, expected):
    found = {row.system: row.value for row in beside(task, manifest, source)}
    assert (found["Qwen2-Audio (paper)"], found["Qwen2-Audio (Hugging Face)"]) == expected
    assert len(found) == len(beside(task, manifest, source))  # of one split only


def test_a_group_of_ones_own_stands_alone():
    assert beside("asr", "calls", "calls_test_clean") == []
    assert beside("s2tt", "covost2_eval", "covost2_en_ca_test") == []


def test_every_published_number_says_of_what_and_where_it_was_read():
    rows = table()
    keys = {(row.task, row.dataset, row.split, row.system) for row in rows}
    assert len(keys) == len(rows) > 100
    assert all(row.origin for row in rows)
    assert {row.task for row in rows} == {"asr", "s2tt", "ser", "vsc", "chat"}


def test_what_a_translation_is_into_is_in_its_sources_name():
    rows = [Row(1, "a.wav", "p", "gt", "covost2_en_zh_test")]
    assert languages_of("s2tt", rows, None) == {"covost2_en_zh_test": "zh"}
    assert languages_of("s2tt", rows, "zh-CN") == {"covost2_en_zh_test": "zh"}
    with pytest.raises(EvalError, match="calls is translated into is not known: give --language"):
        languages_of("s2tt", [Row(1, "a.wav", "p", "gt", "calls")], None)
    with pytest.raises(EvalError, match="Give --language"):
        languages_of("asr", rows, None)
    with pytest.raises(EvalError, match="--language English is no code"):
        languages_of("asr", rows, "English")
