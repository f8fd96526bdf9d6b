"""Accents that nobody has: whole phonemes shifted, so that who says "toime" says it every time.

Espeak-ng has few accents of English; here every pseudo speaker may get an own one. The phonemes
are espeak-ng's (docs/phonemes.md of its sources), the shifts are such as J. C. Wells lists between
the accents of English (Accents of English, 1982), and foreigners' of the same kind. This module
makes no sound.
"""

import numpy as np

Accent = tuple[tuple[str, str], ...]
"""Phonemes, and what is said in their place: nothing, one, or several with "|" between them."""

VOWELS: dict[str, tuple[str, ...]] = {
    "aI": ("OI", "A:", "a", "V|I"),
    "eI": ("aI", "E", "i:", "V|I"),
    "oU": ("aU", "O:", "U", "V|U"),
    "aU": ("oU", "a", "u:", "E|U"),
    "OI": ("aI", "O:|I"),
    "V": ("U", "a", "@", "0"),
    "a": ("aa", "E", "A:"),
    "aa": ("a", "A:", "O:"),
    "A:": ("a", "O:"),
    "A@": ("a", "O:", "A:|r"),
    "0": ("A:", "O:", "a"),
    "O:": ("0", "oU"),
    "O@": ("oU", "A@", "O:|r"),
    "E": ("I", "a", "eI"),
    "e@": ("3:", "i@", "E|r"),
    "I": ("i:", "@", "E"),
    "i:": ("I", "eI", "@|i:"),
    "i@": ("i:", "e@", "i:|r"),
    "i": ("I", "eI", "@|i:"),
    "U": ("u:", "V"),
    "u:": ("U", "i:", "@|u:"),
    "3:": ("E", "0", "3:|r"),
    "3": ("@", "a", "V|r"),
    "@": ("a", "E", "V"),
}
CONSONANTS: dict[str, tuple[str, ...]] = {
    "T": ("t", "f", "s"),
    "D": ("d", "v", "z"),
    "h": ("",),
    "w": ("v",),
    "v": ("w", "b"),
    "z": ("s",),
    "N": ("n", "N|g"),
}
STRESSES = "',%="
IPA: dict[str, str] = {
    **{"aI": "I", "eI": "A", "oU": "O", "aU": "W", "OI": "Y", "V": "ʌ", "a": "æ", "aa": "æ"},
    **{"A:": "ɑ", "0": "ɑ", "O:": "ɔ", "E": "ɛ", "I": "ɪ", "i:": "i", "U": "ʊ", "u:": "u"},
    **{"3:": "ɜ", "@": "ə", "T": "θ", "D": "ð", "N": "ŋ", "r": "ɹ", "g": "ɡ"},
}
"""espeak-ng's phonemes as misaki writes them, where it writes them otherwise: one letter each."""


def drawn_accent(rng: np.random.Generator) -> Accent:
    """Two to eight vowels and up to two consonants shifted."""
    vowels = rng.choice(list(VOWELS), rng.integers(2, 9), replace=False)
    consonants = rng.choice(list(CONSONANTS), rng.integers(0, 3), replace=False)
    places = [(VOWELS, str(name)) for name in vowels]
    places += [(CONSONANTS, str(name)) for name in consonants]
    return tuple((name, str(rng.choice(shifts[name]))) for shifts, name in places)


def accented(phonemes: str, accent: Accent) -> str:
    """Espeak-ng's phonemes, told apart by "_", as it takes them back."""
    shifts = dict(accent)

    def said(phoneme: str) -> str:
        bare = phoneme.lstrip(STRESSES)
        return phoneme[: len(phoneme) - len(bare)] + shifts.get(bare, bare)

    words = phonemes.replace("_", "|").split()  # between brackets "_" is a pause
    return f"[[{' '.join('|'.join(map(said, word.split('|'))) for word in words)}]]"


def accented_ipa(phonemes: str, accent: Accent) -> str:
    """Phonemes as misaki writes them (hibari reads those), with an accent in espeak-ng's names."""
    shifts = {ipa(name): ipa(said) for name, said in accent if len(ipa(name)) == 1}
    return phonemes.translate(str.maketrans(shifts))


def ipa(phonemes: str) -> str:
    """Espeak-ng's phonemes, "|" between them, as misaki writes them."""
    return "".join(IPA.get(name, name) for name in phonemes.split("|"))
