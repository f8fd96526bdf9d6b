"""Text to speech: the programs espeak-ng, flite and festival, and the voices of `loaded`.

Each function takes words and gives mono float32 samples at 16 kHz, already shifted: `shift`
moves pitch and formants together (1.1 makes a smaller person), so one voice gives many pseudo
speakers. Nothing here knows who is used for what; that is `speakers`.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

from finetune.clips import foreign
from finetune.clips.accents import accented
from finetune.clips.library import SAMPLE_RATE
from finetune.clips.loaded import Hibari, Pico, Piper, RHVoice
from finetune.clips.utterance import SynthesisError, Utterance, resampled
from finetune.clips.vocoder import vocoded

WAV_HEADER_BYTES = 44


def read_wav(data: bytes) -> tuple[np.ndarray, int]:
    """The samples and the rate of a 16-bit mono RIFF file, whatever length its head says."""
    rate = int.from_bytes(data[24:28], "little")
    body = data[WAV_HEADER_BYTES : len(data) - (len(data) - WAV_HEADER_BYTES) % 2]
    return np.frombuffer(body, "<i2"), rate


def output_of(command: list[str]) -> bytes:
    """What a synthesizer's process writes; its complaints, if it fails."""
    if shutil.which(command[0]) is None:
        raise SynthesisError(f"{command[0]} is not installed: apt-get install {command[0]}")
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise SynthesisError(f"{command[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def espeak(utterance: Utterance) -> np.ndarray:
    words_a_minute = round(165 * utterance.tempo / utterance.shift)
    voice, text = ["-v", utterance.voice], utterance.text
    options = [*voice, "-s", str(words_a_minute), "-p", str(utterance.pitch)]
    if utterance.accent:
        sounds = output_of(["espeak-ng", *voice, "-q", "-x", "--sep=_", "--", text])
        text = accented(sounds.decode(), utterance.accent)
    wav = output_of(["espeak-ng", *options, "--stdout", "--", text])
    return resampled(*read_wav(wav), utterance.shift)


def flite(utterance: Utterance) -> np.ndarray:
    stretch = utterance.shift / utterance.tempo
    with tempfile.NamedTemporaryFile(suffix=".wav") as wav:
        options = ["-voice", utterance.voice, "--setf", f"duration_stretch={stretch:.3f}"]
        output_of(["flite", *options, "-t", utterance.text, "-o", wav.name])
        return resampled(*read_wav(wav.read()), utterance.shift)


def festival(utterances: list[Utterance]) -> list[np.ndarray]:
    """Many utterances in one process: its start costs more than a sentence."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.wav" for number in range(len(utterances))]
        script = Path(folder) / "say.scm"
        lines = [festival_lines(said, file) for said, file in zip(utterances, files, strict=True)]
        voices = foreign.definitions({said.voice for said in utterances})
        head = "(defvar hts_engine_params nil)\n"
        script.write_text("".join([head, voices, *lines]), encoding="ascii")
        output_of(["festival", "-b", str(script)])
        pairs = zip(utterances, files, strict=True)
        return [resampled(*read_wav(file.read_bytes()), said.shift) for said, file in pairs]


def festival_lines(utterance: Utterance, file: Path) -> str:
    """The Scheme that makes festival say one utterance into a file."""
    text, target = json.dumps(utterance.text), json.dumps(str(file))
    stretch = utterance.shift / utterance.tempo
    voice, said = utterance.voice, f"(utt.synth (eval (list 'Utterance 'Text {text})))"
    if voice in foreign.FOREIGNERS:
        voice, said = foreign.ENGLISH_VOICE, foreign.spoken(voice, utterance.text)
    return (
        f"(voice_{voice})\n"
        f'(set! hts_engine_params (append hts_engine_params \'(("-r" {1 / stretch:.3f}))))\n'
        f"(Parameter.set 'Duration_Stretch {stretch:.3f})\n"
        f"(set! said {said})\n"
        f"(utt.save.wave said {target} 'riff)\n"
    )


def say_all(utterances: list[Utterance], seed: int) -> list[np.ndarray | None]:
    """Everything that a shard says, in order; festival's in one batch, other voices loaded once.

    None stands where a synthesizer stayed silent, as they do for a few odd words.
    """
    rng = np.random.default_rng(seed)
    batch = [said for said in utterances if said.synthesizer == "festival"]
    from_festival = iter(festival(batch) if batch else [])
    with closing(RHVoice()) as rhvoice:
        say: dict[str, Callable[[Utterance], np.ndarray]] = {
            "espeak-ng": espeak,
            "flite": flite,
            "festival": lambda _: next(from_festival),
            "piper": Piper(seed).say,
            "hibari": Hibari(seed).say,
            "pico": Pico().say,
            "rhvoice": rhvoice.say,
        }
        return [trimmed(shaped(say[said.synthesizer](said), said, rng)) for said in utterances]


def shaped(samples: np.ndarray, said: Utterance, rng: np.random.Generator) -> np.ndarray:
    return samples if said.intonation is None else vocoded(samples, said.intonation, rng)


def trimmed(samples: np.ndarray) -> np.ndarray | None:
    """Without the silence that synthesizers put around speech; 40 ms of it stay."""
    loud = np.flatnonzero(np.abs(samples) > 0.004)
    if not len(loud):
        return None
    margin = SAMPLE_RATE // 25
    return samples[max(0, loud[0] - margin) : loud[-1] + margin]
