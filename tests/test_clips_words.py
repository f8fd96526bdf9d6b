"""What is said in clips: sentences, phrases, questions and their answers."""

import re
from pathlib import Path

import pytest

from finetune.clips import phrases, plan, questions, sentences
from finetune.clips.families import FAMILIES
from finetune.clips.numbers import words
from tests.clips_parts import needs_voices, rng

pytestmark = pytest.mark.slow


def test_no_sentence_is_both_trained_and_tested_on():
    trained = {sentences.sentence("train", rng(seed)).words for seed in range(1500)}
    tested = {sentences.sentence("test", rng(seed)).words for seed in range(300)}
    assert not trained & tested
    assert len(trained) > 1300
    assert len(tested) > 250


def test_sentences_are_clean_text():
    for seed in range(1500):
        text = sentences.sentence("train", rng(seed))
        assert re.fullmatch(r"[A-Z0-9].*[.?!,]?", text.written), text
        assert not re.search(r"[<>(){}|]|\s\s|\ban [bcdfgj-np-tv-z]", text.written), text
        assert text.words == text.words.lower()
        assert not re.search(r"[^a-z' ]", text.words)


def test_the_generator_says_at_least_two_thousand_words_in_sentences():
    generator, said = rng(5), set()
    for _ in range(12_000):
        said |= set(sentences.sentence("train", generator).words.split())
    assert len(said) >= 2000


@needs_voices
def test_phrases_are_clean_and_many_and_never_tested_on():
    found = phrases.phrases()
    assert len({word for text in found for word in text.words.split()}) > 25_000
    for text in found:
        assert re.fullmatch(r"[A-Z][A-Za-z',\- ]*[.!?]", text.written), text
        assert 3 <= len(text.words.split()) <= 14
        assert sentences.split_of(text.words) == "train"


@needs_voices
def test_half_of_the_sentences_to_train_on_are_phrases_and_none_of_those_to_test_on():
    known = {text.written for text in phrases.phrases()}
    splits: tuple[tuple[plan.Split, float, float], ...] = (("train", 0.4, 0.6), ("test", 0, 0))
    for split, least, most in splits:
        texts = [plan.text_of_kind("sentence", split, rng(seed)).written for seed in range(300)]
        assert least <= sum(text in known for text in texts) / 300 <= most


def test_a_missing_wordnet_is_told(tmp_path: Path):
    with pytest.raises(phrases.NoPhrasesError, match="apt-get install wordnet-base"):
        list(phrases.examples(tmp_path))


def test_two_thousand_of_the_commonest_words_are_covered():
    wordfreq = pytest.importorskip("wordfreq", reason="wordfreq, a check only, is not installed")
    known = {word.lower() for word in sentences.vocabulary()}
    common = [word for word in wordfreq.top_n_list("en", 5000) if word.isalpha()]
    assert len([word for word in common if word in known]) >= 2000


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ({"id": "add", "a": 3, "b": 4}, "Three plus four is seven."),
        ({"id": "subtract", "a": 20, "b": 6}, "Twenty minus six is fourteen."),
        ({"id": "multiply", "a": 6, "b": 6}, "Six times six is thirty-six."),
        ({"id": "half", "n": 38}, "Half of thirty-eight is nineteen."),
        ({"id": "double", "n": 20}, "Twice twenty is forty."),
        ({"id": "day_after", "day": "Sunday"}, "After Sunday comes Monday."),
        ({"id": "day_before", "day": "Monday"}, "Before Monday comes Sunday."),
        ({"id": "count_to", "n": 5}, "One, two, three, four, five."),
        ({"id": "spell", "word": "cat"}, "Cat is spelled C-A-T."),
        ({"id": "capital", "country": "France"}, "The capital of France is Paris."),
        ({"id": "zh_add", "a": 7, "b": 8}, "七加八等于十五。"),
        ({"id": "zh_tomorrow", "day": "六"}, "星期六的后面是星期日。"),
    ],
)
def test_answers_are_worked_out(question: dict, answer: str):
    assert questions.answer(question) == answer


def test_sums_stay_within_forty_and_never_below_zero():
    sums = {"add": int.__add__, "subtract": int.__sub__, "multiply": int.__mul__}
    for name, work_out in sums.items():
        for seed in range(100):
            drawn = FAMILIES[name].draw(rng(seed))
            result = work_out(drawn["a"], drawn["b"])
            assert 0 <= result <= 40
            assert questions.answer({"id": name, **drawn}).endswith(f" is {words(result)}.")


def test_there_are_enough_questions_with_enough_wordings_and_answers_in_their_language():
    assert len(questions.all_ids("en")) >= 60
    assert len(questions.all_ids("zh")) >= 10
    for name in questions.all_ids():
        asked = [questions.of_id(name, rng(seed)) for seed in range(40)]
        chinese = questions.language({"id": name}) == "zh"
        assert len({one.text for one in asked}) >= (3 if chinese else 4), name
        for one in asked:
            heard, reply = one.text, questions.answer(one.question)
            assert bool(re.search(r"[\u4e00-\u9fff]", heard + reply)) == chinese
            assert "{" not in heard + reply
