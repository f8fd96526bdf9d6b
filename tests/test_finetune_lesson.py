"""A LoRA of the preview learns new words and a new sound from clips made here; the app says them.

A third of `python -m finetune.demonstration`, whose result stands in README.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from gradio_client import Client, handle_file

from finetune import demonstration, lesson
from finetune.__main__ import main
from finetune.demonstration import Scores
from finetune.lesson import SAID, Size
from finetune.manifest import Manifest
from finetune.rendering import audio_parts
from tests.model_card import PREVIEW, ModelCard
from tests.serving import Served, serving

SMALL = Size(
    words=3, word=10, sound=12, old=30, tested_word=5, tested_sound=8, tested_old=40
)  # fmt: skip
FEW = "--lora --epochs 4 --learning-rate 3e-3 --batch-tokens 400 --device cpu"  # but many steps
MOST_FORGOTTEN = 0.15  # with as few old clips as these; README has the whole lesson's figure
SYNTHESIZERS = ("espeak-ng", "flite")

pytestmark = [
    pytest.mark.skipif(
        not all(map(shutil.which, SYNTHESIZERS)),
        reason=f"the lesson is spoken by {' and '.join(SYNTHESIZERS)} (Debian's packages)",
    ),
    pytest.mark.slow,
]


@dataclass(frozen=True)
class Learned:
    """A lesson's folder with its run, and what was right before and after."""

    folder: Path
    said: str
    before: Scores
    after: Scores

    @property
    def adapter(self) -> Path:
        return self.folder / "run" / "adapter"


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Learned:
    folder = tmp_path_factory.mktemp("lesson")
    lesson.make(folder, SMALL)
    model = demonstration.preview()
    before = demonstration.scores(model, folder)
    main(demonstration.command(demonstration.mix(folder, model), folder / "run", FEW))
    after = demonstration.scores(demonstration.adapted(folder / "run" / "adapter"), folder)
    return Learned(folder, demonstration.table(before, after), before, after)


def test_it_learns_what_it_did_not_know_and_keeps_most_of_what_it_knew(learned: Learned):
    asked, right = learned.before["new"]
    assert (asked, right) == (3 * 5 + 8, 0)
    assert learned.after["new"][1] >= 0.9 * asked, learned.said
    old, knew = learned.before["old"]
    assert knew > old / 2
    assert knew - learned.after["old"][1] <= MOST_FORGOTTEN * old, learned.said


def test_the_adapter_is_under_two_percent_of_the_model(learned: Learned):
    small = (learned.adapter / "adapter_model.safetensors").stat().st_size / 4  # float32
    whole = (PREVIEW / "model.safetensors").stat().st_size / 2  # float16
    assert small / whole <= 0.02


def test_clips_to_test_on_are_of_other_voices(learned: Learned):
    heard = {name: clips(learned.folder / f"{name}.jsonl") for name in ("train", "new", "old")}
    assert not heard["train"] & (heard["new"] | heard["old"])
    assert all("/train-" in url for url in heard["train"])
    assert all("/test-" in url for url in heard["new"] | heard["old"])


def clips(manifest: Path) -> set[str]:
    return {part["audio_url"] for turns in Manifest(manifest) for part in audio_parts(turns)}


@pytest.fixture(scope="module")
def whole(learned: Learned, tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    """The merged checkpoint, opened by plain Transformers."""
    folder = tmp_path_factory.mktemp("whole")
    main(["merge", str(learned.adapter), str(folder), "--dtype", "float32"])
    return ModelCard(folder)


@pytest.fixture(scope="module")
def app(learned: Learned, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    log = tmp_path_factory.mktemp("app") / "log"
    with serving(log, "--adapter", str(learned.adapter), "--dtype", "float32", "--cpu-only") as app:
        yield app


def test_the_app_says_the_new_as_the_merged_checkpoint_does(
    learned: Learned, whole: ModelCard, app: Served
):
    assert "preview answers with the adapter run" in app.log
    client = Client(app.url, verbose=False)
    rows = [json.loads(line) for line in (learned.folder / "new.jsonl").read_text().splitlines()]
    sound = next(row for row in rows if row["messages"][-1]["content"] == SAID)
    for turns in (rows[0]["messages"], sound["messages"]):
        clip, words = turns[0]["content"]
        path = str(learned.folder / clip["audio_url"])
        sent = [{"role": "user", "content": [{**clip, "audio_url": handle_file(path)}, words]}]
        said = client.predict(sent, max_new_tokens=64, temperature=0, api_name="/generate")
        asked = [{"role": "user", "content": [{**clip, "audio_url": path}, words]}]
        assert said == whole.reply(asked, max_new_tokens=64)
