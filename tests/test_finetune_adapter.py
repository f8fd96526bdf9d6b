"""A LoRA on its base: opened by the app, merged by the command, and refused in sentences."""

import json
import shutil
import sys
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import Qwen2AudioForConditionalGeneration

from demo.adapter import CONFIG, INSTALL, WEIGHTS, read_adapter, with_adapter
from demo.checkpoint import INSTRUCT, PREVIEW, choose, load
from demo.engine import EngineError
from finetune import adapters
from finetune.__main__ import main
from finetune.adapters import Low
from tests.model_card import ModelCard
from tests.test_checkpoint import silent

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


def preview() -> Qwen2AudioForConditionalGeneration:
    return Qwen2AudioForConditionalGeneration.from_pretrained(PREVIEW, dtype=torch.float32)


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of the preview that changes what it says, though it has learned nothing."""
    torch.manual_seed(1)
    model = preview()
    adapter: Any = adapters.adapted(model, Low(rank=4, projector=True), "preview")
    with torch.no_grad():
        for name, weight in adapter.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.2)
    folder = tmp_path_factory.mktemp("runs") / "words" / "adapter"
    adapters.save(adapter, model.state_dict(), folder)
    return folder


@pytest.fixture
def copy(lora: Path, tmp_path: Path) -> Path:
    """The adapter's folder, to be spoilt."""
    return Path(shutil.copytree(lora, tmp_path / "mine"))


CLIPS = ROOT / "assets" / "examples"
ASKED = [
    ("siren-loud.flac", "What is that sound?"),
    ("voice-chat-joke.flac", ""),
    ("man-table.flac", "Transcribe the audio."),
]


def conversation(name: str, words: str) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"type": "audio", "audio_url": str(CLIPS / name)}]
    parts += [{"type": "text", "text": words}] * bool(words)
    return [{"role": "user", "content": parts}]


def replies(card: ModelCard) -> list[str]:
    return [card.reply(conversation(*asked), max_new_tokens=24) for asked in ASKED]


@pytest.fixture(scope="module")
def unmerged(lora: Path) -> list[str]:
    """What plain PEFT over plain Transformers says."""
    card = ModelCard()
    before = replies(card)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers by an old name
        card.model = PeftModel.from_pretrained(card.model, lora)
    after = replies(card)
    assert after != before
    return after


def test_the_app_answers_with_an_adapter_as_peft_does(lora: Path, unmerged: list[str]):
    from demo.audio import Ear
    from demo.conversation import with_windows
    from demo.engine import Options

    choice = choose(device="cpu", adapter=lora)
    assert choice.model == "preview + words"
    assert "preview answers with the adapter words" in str(choice.notice)
    ear, options = Ear(), Options(max_new_tokens=24, temperature=0)
    with closing(load(choice, silent)) as engine:
        assert engine.info.model == "preview + words"
        said = []
        for asked in ASKED:
            turns, windows, _ = with_windows(conversation(*asked), ear.hear)
            said.append("".join(engine.stream(turns, windows, options)))
    assert said == unmerged


def test_a_merged_checkpoint_is_plain_and_says_the_same(
    lora: Path, unmerged: list[str], tmp_path: Path
):
    main(["merge", str(lora), str(tmp_path / "whole"), "--dtype", "float32"])
    assert replies(ModelCard(tmp_path / "whole")) == unmerged
    written = load_file(tmp_path / "whole" / "model.safetensors")
    assert written.keys() == load_file(PREVIEW / "model.safetensors").keys()


def test_a_merged_checkpoint_keeps_the_number_format_of_its_base(lora: Path, tmp_path: Path):
    main(["merge", str(lora), str(tmp_path / "whole")])
    weights = load_file(tmp_path / "whole" / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.float16}
    model = Qwen2AudioForConditionalGeneration.from_pretrained(tmp_path / "whole")
    assert model.config.dtype == torch.float16


# -- which base ------------------------------------------------------------------------------


def test_the_base_is_the_one_asked_for_else_the_adapters_own(copy: Path, tmp_path: Path):
    assert choose("auto", device="cpu", adapter=copy).source == PREVIEW
    named(copy, "me/my-model")
    assert choose("auto", device="cpu", adapter=copy).source == "me/my-model"
    assert choose("preview", device="cpu", adapter=copy).source == PREVIEW
    (tmp_path / "there").mkdir()
    named(copy, str(tmp_path / "there"))
    assert choose("auto", device="cpu", adapter=copy).source == tmp_path / "there"


def named(folder: Path, base: str | None, **more: object) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, "base_model_name_or_path": base, **more}))


# -- refusals --------------------------------------------------------------------------------


def refused(folder: Path, model: str = "auto", **more: Any) -> EngineError:
    with pytest.raises(EngineError) as caught:
        load(choose(model, device="cpu", adapter=folder, **more), silent).close()
    assert str(folder.parent) not in str(caught.value)
    assert caught.value.say("zh") != str(caught.value)
    return caught.value


@pytest.mark.parametrize("file", [CONFIG, WEIGHTS])
def test_a_folder_that_is_no_adapter_is_refused(copy: Path, file: str):
    (copy / file).unlink()
    error = refused(copy)
    assert error.key == "adapter_missing"
    assert f"mine holds no adapter: {file} is not in it" in str(error)


@pytest.mark.parametrize("text", ["{", "[]", '{"rank": 8}'])
def test_a_configuration_that_says_nothing_is_refused(copy: Path, text: str):
    (copy / CONFIG).write_text(text)
    assert refused(copy).key == "adapter_broken"


def test_weights_that_broke_off_are_refused(copy: Path):
    (copy / WEIGHTS).write_bytes((copy / WEIGHTS).read_bytes()[:1000])
    assert refused(copy).key == "adapter_broken"


def test_another_kind_of_adapter_is_refused(copy: Path):
    named(copy, "preview", peft_type="IA3")
    assert "of the kind IA3" in str(refused(copy))


@pytest.mark.parametrize("base", [None, "", "no/such/folder/here", "/gone/my-model"])
def test_a_base_that_is_not_here_is_told_with_the_remedy(copy: Path, base: str | None):
    named(copy, base)
    error = refused(copy)
    assert error.key == "adapter_base"
    assert "by --model" in str(error)
    assert "/gone" not in str(error)


@pytest.mark.parametrize("kind", ["shape", "surplus", "lack"])
def test_an_adapter_of_another_model_is_refused_by_the_part_that_differs(copy: Path, kind: str):
    weights = load_file(copy / WEIGHTS)
    layer = "base_model.model.model.language_model.layers.5.mlp.up_proj"
    mine = {name: weight for name, weight in weights.items() if layer in name}
    if kind == "shape":
        changed = {name: weight.repeat(2, 2) for name, weight in mine.items()}
    else:
        changed = {name.replace(".5.", ".6."): weight.clone() for name, weight in mine.items()}
    kept = {
        name: weight for name, weight in weights.items() if name not in mine or kind == "surplus"
    }
    save_file(kept if kind == "lack" else {**kept, **changed}, copy / WEIGHTS)
    error = refused(copy)
    assert error.key == "adapter_misfit"
    assert "does not fit preview: " in str(error)
    assert "mlp.up_proj" in str(error)


def test_an_adapter_that_names_no_base_is_told_to_be_given_one(copy: Path):
    named(copy, None)
    weights = load_file(copy / WEIGHTS)
    save_file(
        {name.replace(".5.", ".6."): weight for name, weight in weights.items()}, copy / WEIGHTS
    )
    error = refused(copy, model="preview")
    assert error.key == "adapter_misfit_unnamed"
    assert "give that one by --model" in str(error)


def test_an_adapter_and_quantizing_do_not_go_together(copy: Path):
    assert "python -m finetune merge" in str(refused(copy, quantize="int8"))


def test_without_peft_the_sentence_says_how_to_get_it(lora: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    assert INSTALL in str(refused(lora))
    pins = (ROOT / "finetune" / "requirements.txt").read_text().splitlines()
    assert INSTALL.removeprefix("pip install ") in pins


def test_merging_what_is_no_adapter_ends_in_a_sentence(copy: Path, tmp_path: Path):
    (copy / CONFIG).unlink()
    with pytest.raises(SystemExit, match="mine holds no adapter"):
        main(["merge", str(copy), str(tmp_path / "whole")])


def test_the_full_model_is_a_base_like_any_other(copy: Path):
    named(copy, INSTRUCT)
    assert choose("auto", device="cpu", adapter=copy).source == INSTRUCT
    assert read_adapter(copy).name == "mine"
    assert with_adapter(preview(), read_adapter(copy), "preview") is not None
