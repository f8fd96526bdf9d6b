"""Festival's diphone voices of other languages speak English, for there are few English ones.

Festival's English front end, with the durations and the melody of ked, says which sounds come
when; each is replaced by the nearest ones of the other language, and joined from the diphones of
its speaker: English as somebody says it who knows the sounds of Italian, Finnish or Czech only.
The other language's own rules (letters, stress, durations, melody) are not loaded, so nothing of
them leaks into the voices after it. This module writes Scheme and makes no sound, and knows
nothing of who is used for what.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

VOICES = Path("/usr/share/festival/voices")
ENGLISH_VOICE = "ked_diphone"
ENGLISH_HERTZ = 105

Sounds = dict[str, str]
"""Phones of one language, and the nearest one or more of the other, of equal length."""


@dataclass(frozen=True)
class Language:
    """What stands for the English sounds, which are festival's radio phones.

    `firsts` and `seconds` stand for the first and the second sound of a diphone that was not
    recorded; where both have a stand-in, festival uses both.
    """

    sounds: Sounds
    firsts: Sounds
    seconds: Sounds


SILENCES = dict.fromkeys(("pau", "h#", "brth"), "#")
SAME = {phone: phone for phone in (*"bdfgklmnprstvwz", "ng")}
PLAIN = {vowel: vowel[0] for vowel in ("a1", "e1", "E1", "i1", "o1", "O1", "u1")}
SHORT = {vowel: vowel[0] for vowel in ("a:", "e:", "i:", "o:", "u:")}
ITALIAN = Language(
    SILENCES
    | SAME
    | {"aa": "a1", "ae": "E1", "ah": "a", "ao": "O1", "aw": "a1 u", "ax": "e", "axr": "e r"}
    | {"ay": "a1 i", "eh": "e1", "er": "e1 r", "ey": "e1 i", "ih": "i", "iy": "i1", "ow": "o1 u"}
    | {"oy": "O1 i", "uh": "u", "uw": "u1", "el": "o l", "em": "e m", "en": "e n"}
    | {"ch": "tS", "dh": "d", "dx": "d", "hh": "", "hv": "", "jh": "dZ", "nx": "n", "sh": "S"}
    | {"th": "t", "y": "j", "zh": "Z"},
    firsts=PLAIN | {"ng": "n", "m": "n", "j": "i", "w": "u", "Z": "dZ", "dZ": "Z", "tS": "S"},
    seconds=PLAIN | {"ng": "n", "j": "i", "w": "u", "Z": "dZ"},
)
FINNISH = Language(
    SILENCES
    | SAME
    | {"aa": "a:", "ae": "@", "ah": "a", "ao": "o:", "aw": "a u", "ax": "7", "axr": "7 r"}
    | {"ay": "a i", "eh": "e", "er": "7 r", "ey": "e i", "ih": "i", "iy": "i:", "ow": "o u"}
    | {"oy": "o i", "uh": "u", "uw": "u:", "el": "o l", "em": "7 m", "en": "7 n"}
    | {"ch": "t S", "dh": "d", "dx": "d", "hh": "h", "hv": "h", "jh": "d S", "ng": "N"}
    | {"nx": "n", "sh": "S", "th": "T", "y": "j", "z": "s", "zh": "S"},
    firsts=SHORT
    | {"T": "t", "N": "n", "w": "v", "S": "s", "b": "p", "d": "t", "g": "k", "v": "u", "f": "s"}
    | {"l": "r", "m": "n", "n": "m", "s": "f"},
    seconds=SHORT | {"T": "t", "N": "n", "w": "v", "S": "s", "7": "@"},
)
CZECH = Language(
    SILENCES
    | SAME
    | {"aa": "a:", "ae": "e", "ah": "a", "ao": "o:", "aw": "a u", "ax": "e", "axr": "e r"}
    | {"ay": "a j", "eh": "e", "er": "e r", "ey": "e j", "ih": "i", "iy": "i:", "ow": "o u"}
    | {"oy": "o j", "uh": "u", "uw": "u:", "el": "o l", "em": "e m", "en": "e n"}
    | {"ch": "c~", "dh": "d", "dx": "d", "hh": "h", "hv": "h", "jh": "dz~", "ng": "n*"}
    | {"nx": "n", "sh": "s~", "th": "t", "w": "v", "y": "j", "zh": "z~"},
    firsts=SHORT
    | {"b": "p", "d": "t", "g": "k", "v": "f", "z": "s", "z~": "s~", "dz~": "c~", "h": "ch"}
    | {"p": "b", "t": "d", "k": "g", "f": "v", "s": "z", "s~": "z~", "c~": "dz~"}
    | {"n*": "n", "n": "n*", "i:": "j", "i": "j"},
    seconds=SHORT | {"i": "j", "i:": "j"},
)


@dataclass(frozen=True)
class Foreigner:
    """A speaker: the language, the diphones (below `VOICES`), the mean pitch, and how loud.

    Festival lets what is too loud for 16 bits wrap around, so `gain` is applied to the diphones,
    once to each when it is first asked for: festival keeps them (by their address, as several
    names may mean one).
    """

    language: Language
    diphones: str
    hertz: int
    gain: float


FOREIGNERS = {
    "lp_diphone": Foreigner(ITALIAN, "italian/lp_diphone/group/lp_diphone.group", 195, 0.2),
    "pc_diphone": Foreigner(ITALIAN, "italian/pc_diphone/group/pc_diphone.group", 115, 0.2),
    "suo_fi_lj_diphone": Foreigner(
        FINNISH, "finnish/suo_fi_lj_diphone/group/ljlpc.group", 165, 0.15
    ),
    "hy_fi_mv_diphone": Foreigner(FINNISH, "finnish/hy_fi_mv_diphone/group/mvlpc.group", 85, 1.0),
    "czech_dita": Foreigner(CZECH, "czech/czech_dita/group/dita.group", 210, 0.5),
    "czech_krb": Foreigner(CZECH, "czech/czech_krb/group/krb.group", 250, 0.7),
    "czech_machac": Foreigner(CZECH, "czech/czech_machac/group/machac.group", 85, 0.5),
    "czech_ph": Foreigner(CZECH, "czech/czech_ph/group/ph.group", 130, 0.35),
}

DEFINITIONS = """
(defvar foreign_softened nil)
(define (foreign_soften utt gain)
  (Initialize utt)
  (us_get_diphones utt)
  (mapcar
    (lambda (unit)
      (let ((sound (format nil "%l" (item.feat unit "sig"))))
        (if (not (member_string sound foreign_softened))
            (begin
              (set! foreign_softened (cons sound foreign_softened))
              (wave.rescale (item.feat unit "sig") gain)))))
    (utt.relation.items utt 'Unit)))
(define (foreign_phones seg sounds ratio)
  (let ((phones (cdr (assoc_string (item.name seg) sounds))))
    (if phones
        (let ((share (/ (item.feat seg "segment_duration") (length phones))))
          (cons
            (append (list (car phones) share) (foreign_targets seg ratio))
            (mapcar (lambda (phone) (list phone share)) (cdr phones)))))))
(define (foreign_targets seg ratio)
  (mapcar
    (lambda (target)
      (list (- (item.feat target "pos") (item.feat seg "segment_start"))
            (* ratio (item.feat target "f0"))))
    (item.relation.daughters seg 'Target)))
(define (foreign_synth text database sounds ratio gain)
  (let ((english (eval (list 'Utterance 'Text text))) (phones nil))
    (mapcar
      (lambda (module) (module english))
      (list Initialize Text Token_POS Token POS Phrasify Word Pauses Intonation PostLex Duration
            Int_Targets))
    (mapcar
      (lambda (seg) (set! phones (append phones (foreign_phones seg sounds ratio))))
      (utt.relation.items english 'Segment))
    (set! UniSyn_module_hooks nil)
    (us_db_select database)
    (foreign_soften (eval (list 'Utterance 'Segments phones)) gain)
    (utt.synth (eval (list 'Utterance 'Segments phones)))))
"""


@cache
def installed(voice: str) -> bool:
    """Whether a voice's diphones are there, if it is one of these; others are not asked for."""
    return voice not in FOREIGNERS or (VOICES / FOREIGNERS[voice].diphones).exists()


def definitions(voices: set[str]) -> str:
    """The Scheme that must come once before any of `voices` speaks."""
    speakers = sorted(voices & FOREIGNERS.keys())
    return "".join([DEFINITIONS, *map(database, speakers)] if speakers else [])


def database(voice: str) -> str:
    """The Scheme that loads a speaker's diphones, under the name of the voice, and the sounds."""
    foreigner = FOREIGNERS[voice]
    language = foreigner.language
    firsts, seconds = (
        " ".join(f"({sound} {other})" for sound, other in others.items())
        for others in (language.firsts, language.seconds)
    )
    sounds = [f'("{sound}" {quoted(to)})' for sound, to in language.sounds.items()]
    return (
        f'(us_diphone_init \'((name {json.dumps(voice)}) (grouped "true")'
        f" (index_file {json.dumps(str(VOICES / foreigner.diphones))})"
        f" (alternates_left ({firsts})) (alternates_right ({seconds}))"
        ' (default_diphone "#-#")))\n'
        f"(set! {voice}_sounds '({' '.join(sounds)}))\n"
    )


def quoted(sounds: str) -> str:
    return " ".join(json.dumps(sound) for sound in sounds.split())


def spoken(voice: str, text: str) -> str:
    """The Scheme whose value is the utterance, after `ENGLISH_VOICE` and a stretch are set."""
    foreigner = FOREIGNERS[voice]
    ratio = foreigner.hertz / ENGLISH_HERTZ
    names = f"{json.dumps(text)} {json.dumps(voice)} {voice}_sounds"
    return f"(foreign_synth {names} {ratio:.3f} {foreigner.gain})"
