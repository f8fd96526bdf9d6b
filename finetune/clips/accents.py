"""Accents that nobody has: whole phonemes shifted, so that who says "toime" says it every time.

Espeak-ng has few accents of English; here every pseudo speaker may get an own one. The phonemes
are espeak-ng's (docs/phonemes.md of its sources), the shifts are such as J. C. Wells lists between
the accents of English (Accents of English, 1982), and foreigners' of the same kind. This module
makes no sound.
"""

import numpy as np

Accent = tuple[tuple[str, str], ...]
"""Phonemes, and what is said in their place."""

VOWELS: dict[str, tuple[str, ...]] = {
    "aI": ("OI", "A:", "a"),
    "eI": ("aI", "E", "i:"),
    "oU": ("aU", "O:", "U"),
    "aU": ("oU", "a", "u:"),
    "OI": ("aI",),
    "V": ("U", "a", "@", "0"),
    "a": ("aa", "E", "A:"),
    "aa": ("a", "A:", "O:"),
    "A:": ("a", "O:"),
    "0": ("A:", "O:", "a"),
    "O:": ("0", "oU"),
    "E": ("I", "a", "eI"),
    "I": ("i:", "@", "E"),
    "i:": ("I", "eI"),
    "U": ("u:", "V"),
    "u:": ("U", "i:"),
    "3:": ("E", "0"),
    "@": ("a", "E", "V"),
}
CONSONANTS: dict[str, tuple[str, ...]] = {
    "T": ("t", "f", "s"),
    "D": ("d", "v", "z"),
    "h": ("",),
    "w": ("v",),
    "v": ("w", "b"),
    "z": ("s",),
    "N": ("n",),
}
STRESSES = "',%="


def drawn_accent(rng: np.random.Generator) -> Accent:
    """Two to five vowels and up to two consonants shifted."""
    vowels = rng.choice(list(VOWELS), rng.integers(2, 6), replace=False)
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
