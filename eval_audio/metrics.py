"""Metrics that are functions of sums over the rows, so that a bootstrap only has to add again.

Each `Metric` turns pairs of reference and reply into a row of counts, and the counts' sum into the
value: errors and length for word and character errors (jiwer), n-gram counts for BLEU (sacrebleu),
right ones and all for accuracy. Values are on the scale of the published table: percent for errors
and BLEU, a share for accuracy. This module knows no files and no models.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import jiwer
import numpy as np
from sacrebleu.metrics.bleu import BLEU

from eval_audio.manifest import Compared, EvalError
from eval_audio.words import BY_CHARACTER, Normalizer, normalizer

CONFIDENCE = 0.95
CHUNK = 100  # resamples at once: 100 times 20,000 rows of weights are 16 MB
TOKENIZERS = {"zh": "zh", "ja": "ja-mecab", "ko": "ko-mecab"}
ORDER = 4  # of BLEU's longest n-grams

Value = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Metric:
    """`counts` of (references, replies) is (rows, n); `value` of their sum, (n,), the metric."""

    name: str
    counts: Callable[[Sequence[str], Sequence[str]], np.ndarray]
    value: Value


@dataclass(frozen=True)
class Estimate:
    """A value and the interval that the bootstrap puts around it; nan where there is none."""

    value: float
    low: float
    high: float


NONE = Estimate(math.nan, math.nan, math.nan)


def metric_for(task: Compared, language: str) -> Metric:
    """The published metric of a task, by the rules of the replies' language.

    Raises:
        EvalError: the language's tokenizer is not installed.
    """
    match task:
        case "asr":
            name = "CER" if language in BY_CHARACTER else "WER"
            return Metric(name, partial(_errors, normalizer(language)), _percent)
        case "s2tt":
            return _bleu(TOKENIZERS.get(language, "13a"))
        case "ser" | "vsc":
            return Metric("accuracy", _right, _share)


def estimate(counts: np.ndarray, value: Value, resamples: int, seed: int) -> Estimate:
    """The value over all rows, and the middle 95% of what it is over rows drawn again."""
    if not len(counts):
        return NONE
    drawn = [value(sums) for sums in _resampled(counts, resamples, seed)]
    drawn = [one for one in drawn if not math.isnan(one)]
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail]) if drawn else (math.nan, math.nan)
    return Estimate(value(counts.sum(0)), float(low), float(high))


def _resampled(counts: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """The sums of the counts over as many rows, drawn with replacement: (resamples, n)."""
    rng, rows = np.random.default_rng(seed), len(counts)
    equal = np.full(rows, 1 / rows)
    sizes = [min(CHUNK, resamples - start) for start in range(0, resamples, CHUNK)]
    sums = [rng.multinomial(rows, equal, size) @ counts for size in sizes]
    return np.concatenate(sums) if sums else np.empty((0, counts.shape[1]))


def _errors(normal: Normalizer, references: Sequence[str], replies: Sequence[str]) -> np.ndarray:
    """Edits and reference length of each pair; an empty reference makes every word an edit."""
    pairs = zip(map(normal, references), map(normal, replies), strict=True)
    return np.array([_edits(*pair) for pair in pairs])


def _edits(reference: str, reply: str) -> tuple[int, int]:
    found = jiwer.process_words(reference, reply)
    edits = found.substitutions + found.deletions + found.insertions
    return edits, found.hits + found.substitutions + found.deletions


def _percent(sums: np.ndarray) -> float:
    return 100 * _share(sums)


def _share(sums: np.ndarray) -> float:
    return float(sums[0] / sums[1]) if sums[1] else math.nan


def _right(references: Sequence[str], replies: Sequence[str]) -> np.ndarray:
    """Right is the label and nothing else; blanks around it do not count."""
    pairs = zip(references, replies, strict=True)
    return np.array([(one.strip() == two.strip(), 1) for one, two in pairs])


def _bleu(tokenizer: str) -> Metric:
    try:
        bleu = BLEU(tokenize=tokenizer, effective_order=True)  # the order is for the sentences' own
    except (ImportError, RuntimeError):
        extra = tokenizer.removesuffix("-mecab")
        raise EvalError(
            f"BLEU's tokenizer {tokenizer} is not installed: pip install 'sacrebleu[{extra}]'."
        ) from None
    return Metric("BLEU", partial(_matches, bleu), _bleu_of)


def _matches(bleu: BLEU, references: Sequence[str], replies: Sequence[str]) -> np.ndarray:
    pairs = zip(references, replies, strict=True)
    scores = [bleu.sentence_score(reply, [reference]) for reference, reply in pairs]
    return np.array([(one.sys_len, one.ref_len, *one.counts, *one.totals) for one in scores])


def _bleu_of(sums: np.ndarray) -> float:
    said, wanted, *grams = sums.tolist()
    return BLEU.compute_bleu(grams[:ORDER], grams[ORDER:], said, wanted, "exp").score
