"""Recordings of people in Debian's packages, to test on only; nothing of them is ever trained on.

They are read from where the packages put them and are no part of this repository:
asterisk-core-sounds-en and its -wav (Allison Smith, CC-BY-SA-3.0) and pocketsphinx-testdata
(several speakers, BSD-2-Clause). A package that is not installed is left out, with a sentence
that says so.
"""

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from finetune.clips.augment import loudness
from finetune.clips.library import INT16, SAMPLE_RATE, Row
from finetune.clips.numbers import words as number_words
from finetune.clips.plan import Shard, blank_row
from finetune.clips.sentences import Text

PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
PROMPT_TEXTS = Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
SPHINX = Path("/usr/share/pocketsphinx/test/data")
SPHINX_RAW = {
    "goforward.raw": "go forward ten meters",
    "tidigits/dhd.2934z.raw": "two nine three four zero",
}
NOT_SPEECH = re.compile(r"[\[(<]")
UNCLEAR = re.compile(r"ascii|silence/|spy-|phonetic/|letters/")
LONGEST_SECONDS = 28


@dataclass(frozen=True)
class Recording:
    """A person's recording and what they say in it."""

    file: Path
    text: str
    speaker: str
    gender: str | None
    source: str


def spelled(text: str) -> str:
    """A prompt as it is said: digits and key names in words."""
    named = text.replace("*", " star ").replace("#", " pound ").replace("3D", "three D")
    return re.sub(r"\d+", lambda number: number_words(int(number.group())), named)


def prompts() -> Iterator[Recording]:
    """Telephone prompts by one woman, with the texts that lie in a package of their own."""
    if not (PROMPTS.exists() and PROMPT_TEXTS.exists()):
        print("no telephone prompts: apt-get install asterisk-core-sounds-en-wav")
        return
    lines = gzip.decompress(PROMPT_TEXTS.read_bytes()).decode(errors="replace").splitlines()
    for line in lines:
        name, separator, text = line.partition(": ")
        file = PROMPTS / f"{name}.wav"
        if separator and file.exists() and not NOT_SPEECH.search(text) and not UNCLEAR.search(name):
            yield Recording(file, text.strip(". "), "allison", "female", "asterisk-core-sounds-en")


def transcribed() -> Iterator[Recording]:
    """What recognisers are tested with: a novel, playing cards, commands, digits."""
    if not SPHINX.exists():
        print("no test recordings: apt-get install pocketsphinx-testdata")
        return
    for folder, listing in (("librivox", "transcription"), ("cards", "cards.transcription")):
        for line in (SPHINX / folder / listing).read_text().splitlines():
            if found := re.match(r"<s> (.*?) *</s> \((.*)\)", line):
                file = SPHINX / folder / f"{found.group(2)}.wav"
                yield Recording(file, found.group(1), folder, None, "pocketsphinx-testdata")
    for name, text in SPHINX_RAW.items():
        yield Recording(SPHINX / name, text, Path(name).stem, None, "pocketsphinx-testdata")


def samples_of(file: Path) -> np.ndarray:
    if file.suffix == ".raw":
        return np.fromfile(file, INT16).astype(np.float32) / 32768
    heard, rate = soundfile.read(file, dtype="float32")
    return soxr.resample(heard, rate, SAMPLE_RATE)


def kind_of(text: Text) -> str:
    """A digit alone, a sentence (three words or more), or a word or two."""
    count = len(text.words.split())
    if count == 1 and text.words in [number_words(number) for number in range(11)]:
        return "digit"
    return "sentence" if count >= 3 else "word"


def row_of(recording: Recording, number: int) -> Row:
    text = Text(recording.text, spelled(recording.text))
    row = blank_row(Shard("human", 0, 0), number, kind_of(text))
    row |= {"text": text.written, "words": text.words, "language": "en"}
    row |= {"voice": recording.source, "speaker": recording.speaker, "gender": recording.gender}
    name = f"{recording.file.parent.name}-{recording.file.stem}"
    return {**row, "id": f"human-{recording.speaker}-{name}"}


def human_clips() -> list[tuple[Row, np.ndarray]]:
    """Every recording that can be used, with its row."""
    found = []
    for number, recording in enumerate([*prompts(), *transcribed()]):
        samples = samples_of(recording.file)
        if len(samples) <= LONGEST_SECONDS * SAMPLE_RATE and loudness(samples) > -60:
            found.append((row_of(recording, number), samples))
    return found
