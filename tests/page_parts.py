"""What several tests of the page need: clips, a visitor at the analysis tab, short replies."""

import pytest

from tests.conftest import CLIPS
from tests.visitor import Visitor

GLASS = CLIPS / "glass-breaking.flac"
KNOCKS = CLIPS / "four-knocks.flac"
LONG = CLIPS / "long-message.ogg"


@pytest.fixture
def analyst(visitor: Visitor) -> Visitor:
    """A visitor at the audio analysis tab."""
    visitor.open("analysis")
    return visitor


def greedy(visitor: Visitor, longest: int = 48) -> None:
    """Sampling off, so that a reply can be made twice; and no longer than a test can wait."""
    visitor.set_options(temperature="0", max_new_tokens=str(longest))
