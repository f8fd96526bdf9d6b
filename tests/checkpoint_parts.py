"""A checkpoint's folder for tests that spoil it or serve it."""

import shutil
from pathlib import Path

import pytest

from demo.checkpoint import PREVIEW


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the preview checkpoint, to be spoilt."""
    return Path(shutil.copytree(PREVIEW, tmp_path / "mine"))
