"""How right the replies of a batch are, where it is known what they should be.

Transcriptions by word errors (jiwer), Chinese and Japanese ones by character errors, everything
else by the share of equal replies. Case, punctuation and spaces count for nothing. For the
published benchmarks' exact rules there is `eval_audio`.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from demo.batch.rows import wide

Metric = Literal["wer", "cer", "exact"]


@dataclass(frozen=True)
class Score:
    metric: Metric
    value: float  # errors by words or characters of the references; or the share of equal replies
    rows: int


def score(pairs: Sequence[tuple[str, str]], task: str) -> Score | None:
    """The score of (what it should be, reply) pairs; None where nothing can be compared."""
    compared = [(plain(gt), plain(reply)) for gt, reply in pairs]
    compared = [(gt, reply) for gt, reply in compared if gt]
    if not compared:
        return None
    if task != "transcribe":
        equal = sum(gt == reply for gt, reply in compared)
        return Score("exact", equal / len(compared), len(compared))
    import jiwer  # only where there is something to score

    references, replies = map(list, zip(*compared, strict=True))
    letters = "".join(references).replace(" ", "")
    if sum(map(wide, letters)) * 2 > len(letters):
        errors = jiwer.cer(spaceless(references), spaceless(replies))
        return Score("cer", float(errors), len(compared))
    return Score("wer", float(jiwer.wer(references, replies)), len(compared))


def plain(text: str) -> str:
    """Lower case, one space between words, no punctuation but an apostrophe in a word."""
    kept = (c if c == "'" or unicodedata.category(c)[0] in "LNM" else " " for c in
            unicodedata.normalize("NFKC", text).replace("’", "'").casefold())  # fmt: skip
    return " ".join("".join(kept).split())


def spaceless(texts: Sequence[str]) -> list[str]:
    return [text.replace(" ", "") for text in texts]
