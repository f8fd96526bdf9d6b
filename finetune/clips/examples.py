"""Makes the example clips of the page: `python -m finetune.clips.examples [--output DIR]`.

All of them are made here, by voices whose licences allow it; README.md beside them names each
clip's words and origin. The same seed makes the same samples.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from finetune.clips import sounds
from finetune.clips.augment import at_level
from finetune.clips.library import SAMPLE_RATE
from finetune.clips.synthesizers import say_all
from finetune.clips.utterance import Utterance

FOLDER = Path(__file__).parents[2] / "assets" / "examples"
SEED = 7
LEVEL_DB = -20
VOICES = {
    "man": ("piper", "en_US-joe-medium", "piper, voice en_US-joe-medium (CC0)"),
    "woman": ("festival", "cmu_us_slt_arctic_hts", "festival, voice us-slt-hts (CMU, BSD-like)"),
    "chinese": ("espeak-ng", "cmn-latn-pinyin+f4", "espeak-ng, voice cmn-latn-pinyin+f4"),
}
LONG_CLIP = "long-message.ogg"
LONG_PARTS = (
    ("woman", "Hello, this is Anna speaking."),
    ("woman", "I am at the train station and it is raining again."),
    ("rain", ""),
    ("woman", "The next train to Boston arrives in twenty minutes."),
    ("bell", ""),
    ("woman", "My sister is going to pick me up after dinner."),
    ("rain", ""),
    ("footsteps", ""),
    ("woman", "Please call me back at half past seven."),
)
LAST_PART_SECONDS = 35.0


@dataclass(frozen=True)
class Example:
    """One clip: its file, what is heard in it, and who or what makes it."""

    file: str
    heard: str
    maker: str
    level_db: float = LEVEL_DB


EXAMPLES: tuple[Example, ...] = (
    Example("voice-chat-capital.flac", "What's the capital of France?", "woman"),
    Example("voice-chat-joke.flac", "Tell me a joke.", "woman"),
    Example("voice-chat-sum.flac", "What is three plus four?", "man"),
    Example("voice-chat-chinese.flac", "中国的首都是哪里？", "chinese"),
    Example("glass-breaking.flac", "glass breaking", "glass breaking"),
    Example("woman-visit.flac", "My sister is coming to visit us on Thursday afternoon.", "woman"),
    Example("man-table.flac", "I would like to book a table for two people tonight.", "man"),
    Example("four-knocks.flac", "four knocks on a door", "four knocks"),
    Example("siren-loud.flac", "a siren, loud", "siren", -10),
    Example("bird-quiet.flac", "a bird chirping, quiet", "bird chirping", -40),
    Example("phone-ringing.flac", "a phone ringing", "phone ringing"),
    Example(LONG_CLIP, " / ".join(text or name for name, text in LONG_PARTS), "long"),
)


def rng_for(name: str) -> np.random.Generator:
    return np.random.default_rng([SEED, *name.encode()])


def spoken(voice: str, text: str) -> np.ndarray:
    synthesizer, name, _ = VOICES[voice]
    (samples,) = say_all([Utterance(synthesizer, name, text)], SEED)
    if samples is None:
        raise ValueError(f"{name} said nothing for {text!r}")
    return np.pad(samples, SAMPLE_RATE // 5)


def long_message() -> np.ndarray:
    """Speech and sounds over more than one window; the last words begin in the second."""
    pieces: list[np.ndarray] = []
    for name, text in LONG_PARTS[:-1]:
        piece = spoken(name, text) if text else sounds.SOUNDS[name].make(rng_for(name))
        level = LEVEL_DB if text else LEVEL_DB - 12
        pieces += [at_level(piece, level), np.zeros(SAMPLE_RATE, np.float32)]
    start = np.concatenate(pieces)
    rest = max(0, int(LAST_PART_SECONDS * SAMPLE_RATE) - len(start))
    return np.concatenate([np.pad(start, (0, rest)), at_level(spoken(*LONG_PARTS[-1]), LEVEL_DB)])


def samples_of(example: Example) -> np.ndarray:
    """An example's samples: mono float32 at 16 kHz."""
    if example.maker == "long":
        return long_message()
    if example.maker in VOICES:
        return at_level(spoken(example.maker, example.heard), example.level_db)
    rng = rng_for(example.file)
    make: Callable[[np.random.Generator], np.ndarray] = (
        (lambda rng: sounds.counted(4, "knocks", rng))
        if example.maker == "four knocks"
        else sounds.SOUNDS[example.maker].make
    )
    return at_level(np.pad(make(rng), SAMPLE_RATE // 5).astype(np.float32), example.level_db)


def origin(example: Example) -> str:
    if example.maker == "long":
        return f"{VOICES['woman'][2]}; sounds by finetune/clips"
    return VOICES[example.maker][2] if example.maker in VOICES else "numpy, by finetune/clips"


def readme(seconds: dict[str, float]) -> str:
    """The page that names each clip's words, length and origin."""
    rows = [
        f"| `{one.file}` | {one.heard} | {seconds[one.file]:.1f} | {origin(one)} |"
        for one in EXAMPLES
    ]
    return "\n".join(
        [
            "# Example clips",
            "",
            "Made by this project with `python -m finetune.clips.examples`; nobody was recorded.",
            "Licence: Apache-2.0, like the rest of the project. The synthesizers named below put",
            "no terms on what they say.",
            "",
            "| clip | what is heard | seconds | origin |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def write_examples(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    seconds = {}
    for example in EXAMPLES:
        samples = samples_of(example)
        seconds[example.file] = len(samples) / SAMPLE_RATE
        subtype = "OPUS" if example.file.endswith(".ogg") else "PCM_16"
        soundfile.write(folder / example.file, samples, SAMPLE_RATE, subtype)
        print(f"{example.file}: {seconds[example.file]:.1f} s, {example.heard}")
    (folder / "README.md").write_text(readme(seconds), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m finetune.clips.examples")
    parser.add_argument("--output", type=Path, default=FOLDER)
    write_examples(parser.parse_args().output)


if __name__ == "__main__":
    main()
