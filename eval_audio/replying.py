"""Greedy replies of a checkpoint to many conversations at once, token for token its own.

The clips are heard once, on short windows; conversations of like length are answered together,
padded on the left. In float32 that gives what one conversation at a time gives.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import Qwen2AudioForConditionalGeneration, Qwen2AudioProcessor

from finetune.encoding import Read
from finetune.features import Listener
from finetune.rendering import Conversation, Renderer, audio_parts

BATCH_TOKENS = 6000


class Replier:
    """A model that answers conversations whose clips `read` gives."""

    def __init__(
        self, model: Qwen2AudioForConditionalGeneration, processor: Qwen2AudioProcessor, read: Read
    ) -> None:
        self.model, self.processor, self.read = model.eval(), processor, read
        self.renderer = Renderer(processor)
        self.listener = Listener(model.model.audio_tower, processor.feature_extractor)

    def replies(self, conversations: Sequence[Conversation]) -> list[str]:
        """One reply to each, in their order."""
        heard = self._hear(conversations)
        embeds = [self._embed(conversation, heard) for conversation in conversations]
        order = sorted(range(len(embeds)), key=lambda place: len(embeds[place]))
        found = [""] * len(embeds)
        while order:
            count = max(1, BATCH_TOKENS // len(embeds[order[-1]]))
            batch, order = order[-count:], order[:-count]
            texts = self._generate([embeds[place] for place in batch])
            for place, text in zip(batch, texts, strict=True):
                found[place] = text
        return found

    def _hear(self, conversations: Sequence[Conversation]) -> dict[str, np.ndarray]:
        urls = {part["audio_url"] for conv in conversations for part in audio_parts(conv)}
        clips = sorted(((self.read(url), url) for url in urls), key=lambda clip: len(clip[0]))
        heard: dict[str, np.ndarray] = {}
        for start in range(0, len(clips), 8):
            batch = clips[start : start + 8]
            features = self.listener.hear([samples for samples, _ in batch])
            heard |= {url: row for (_, url), row in zip(batch, features, strict=True)}
        return heard

    @torch.inference_mode()
    def _embed(self, conversation: Conversation, heard: dict[str, np.ndarray]) -> torch.Tensor:
        """The prompt as the decoder gets it, (tokens, width)."""

        def tokens(part: dict[str, Any]) -> int:
            return len(heard[part["audio_url"]])

        rendered = self.renderer.render(conversation, tokens, generation=True)
        ids = torch.tensor(rendered.ids)
        embeds = self.model.get_input_embeddings()(ids)
        if rendered.audio:
            features = np.concatenate([heard[part["audio_url"]] for part in rendered.audio])
            sounds = self.model.model.multi_modal_projector(torch.from_numpy(features))
            embeds[ids == self.renderer.audio] = sounds
        return embeds

    @torch.inference_mode()
    def _generate(self, embeds: list[torch.Tensor]) -> list[str]:
        length = max(len(row) for row in embeds)
        padded = torch.zeros(len(embeds), length, embeds[0].shape[1])
        mask = torch.zeros(len(embeds), length, dtype=torch.long)
        for place, row in enumerate(embeds):
            padded[place, length - len(row) :] = row
            mask[place, length - len(row) :] = 1
        ids = self.model.generate(  # type: ignore[misc]  # transformers' own typing
            inputs_embeds=padded, attention_mask=mask, do_sample=False, max_new_tokens=200
        )
        return self.processor.batch_decode(ids, skip_special_tokens=True)
