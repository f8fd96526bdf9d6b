"""Texts as they are compared: what counts as a word or a character, in each language.

English goes through Whisper's English normalizer and then its basic one, every other language but
Mandarin through the basic one: both from the package whisper-normalizer, for transformers' copy
wants a table of English spellings that is in Whisper's files and not in Qwen2-Audio's. Chinese is
compared by characters, Cantonese by simplified ones, and in Mandarin numbers are written out, by
cn2an. `<|…|>` tags are no words. All this is the original project's way.

On purpose otherwise, in Mandarin: traditional characters become simplified ones and full-width
letters and digits plain ones, where the original counts 語 for 语 and Ａ for A as errors; and every
mark and symbol is left out, where it leaves out those of a list. Characters are simplified by
OpenCC, which is kept up, and not by zhconv, which also puts the mainland's words for others.
"""

import re
import unicodedata
from collections.abc import Callable

import cn2an
import opencc
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

Normalizer = Callable[[str], str]

TAG = re.compile(r"<\|.*?\|>")
GAP_BEFORE_MARK = re.compile(r"\s+(?=[!,.?;:])")
FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}  # ！ to ～ as ! to ~
UNITS = "年月日号天周岁元块角分万亿个只条张本件位名次台辆家座"
BARE_DIGITS = re.compile(rf"(?<![\d.])(?:0\d+|\d{{17,}}|\d{{4,}}(?![\d.%/{UNITS}]))")
"""Digits that are said one by one, as those of a telephone number."""
CHINESE_DIGITS = "零一二三四五六七八九"
BY_CHARACTER = frozenset({"zh", "yue"})
UNSPACED = BY_CHARACTER | {"ja", "th"}


def normalizer(language: str) -> Normalizer:
    """What makes texts of a language comparable: words, or characters, with a space between."""
    basic = BasicTextNormalizer()
    match language:
        case "en":
            english = EnglishTextNormalizer()
            return lambda text: _words(basic(english(_untagged(text))))
        case "zh":
            mandarin = Mandarin()
            return lambda text: _characters(mandarin(_untagged(text)))
        case "yue":
            simplify = opencc.OpenCC("t2s").convert
            return lambda text: _characters(basic(simplify(_untagged(text))))
        case _:
            return lambda text: _words(basic(_untagged(text)))


class Mandarin:
    """Lower case, simplified, full-width as plain, numbers written out, no marks."""

    def __init__(self) -> None:
        self._simplify = opencc.OpenCC("t2s").convert
        self._numbers = cn2an.Transform()

    def __call__(self, text: str) -> str:
        plain = self._simplify("".join(text.split())).translate(FULL_WIDTH)
        said = self._numbers.transform(BARE_DIGITS.sub(_one_by_one, plain), "an2cn").lower()
        return "".join(one for one in said if unicodedata.category(one)[0] not in "PS")


def joined(replies: list[str], language: str | None) -> str:
    """The replies to the windows of one clip as one text."""
    return ("" if language in UNSPACED else " ").join(reply.strip() for reply in replies)


def _one_by_one(digits: re.Match[str]) -> str:
    return "".join(CHINESE_DIGITS[int(digit)] for digit in digits[0])


def _untagged(text: str) -> str:
    return GAP_BEFORE_MARK.sub("", TAG.sub(" ", text))


def _words(text: str) -> str:
    return " ".join(text.split())


def _characters(text: str) -> str:
    return " ".join("".join(text.split()))
