"""What is trained: a Qwen2-Audio on kept features, with throw-away tasks for its ears.

Beside the words of the reply, the decoder's middle layer is asked for the transcript of each clip
at the clip's own positions (connectionist temporal classification) and for its traits. That tells
it at every frame what a reply alone would teach it slowly; the heads for it are thrown away after
training. The encoder stays as it is but for its topmost layers, where those are asked for. This
module knows nothing of files or of the training loop.
"""

from typing import Any

import torch
from torch import nn
from transformers import Qwen2AudioForConditionalGeneration, Qwen2Model

from finetune.ears import POSITIONS_PER_TOKEN, Ears
from finetune.masking import Masking
from finetune.rendering import IGNORED
from finetune.traits import TraitHead

Batch = dict[str, torch.Tensor]
TRAIT_WEIGHT = 0.2
ALONE = 100  # batches in which new heads learn before the decoder learns from them


def decode(
    decoder: Qwen2Model, embeds: torch.Tensor, tap: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The decoder's output, and its hidden states after `tap` layers.

    Right-padded batches need no mask under causal attention: no real token sees the padding.
    """
    positions = torch.arange(embeds.shape[1], device=embeds.device)[None]
    rotary = decoder.rotary_emb(embeds, positions)
    hidden = tapped = embeds
    for number, layer in enumerate(decoder.layers, start=1):
        hidden = layer(
            hidden, attention_mask=None, position_ids=positions, position_embeddings=rotary
        )
        if number == tap:
            tapped = hidden
    return decoder.norm(hidden), tapped


class Student(nn.Module):
    """A model and the heads of its other tasks.

    `forward` takes a batch of `collating.FeatureCollator` and gives the losses; `ctc_weight` 0
    leaves the other tasks and their heads out, and without `masking` nothing is hidden in training.
    With `trained_layers` the features are what comes before so many of the encoder's topmost
    layers. In the first `alone` batches only the heads learn from their tasks.
    """

    def __init__(
        self,
        model: Qwen2AudioForConditionalGeneration,
        ctc_layer: int | None = None,
        ctc_weight: float = 0.5,
        compiled: bool = False,
        masking: Masking | None = None,
        trained_layers: int = 0,
        alone: int = 0,
    ) -> None:
        super().__init__()
        self.model, self.masking, self.alone = model, masking, alone
        self.ctc_layer = ctc_layer or len(model.model.language_model.layers) // 2
        self.ctc_weight = ctc_weight
        self.blank, width = model.lm_head.weight.shape
        self.ctc = nn.Linear(width, self.blank + 1) if ctc_weight else None
        self.traits = TraitHead(width) if ctc_weight else None
        self.decode = torch.compile(decode, dynamic=True) if compiled else decode
        tower = model.model.audio_tower.requires_grad_(False)
        self.ears = Ears(tower, trained_layers) if trained_layers else None

    def forward(
        self,
        input_ids: torch.Tensor,
        labels: torch.Tensor,
        features: torch.Tensor,
        clip_frames: torch.Tensor,
        transcripts: torch.Tensor,
        transcript_lengths: torch.Tensor,
        traits: torch.Tensor,
    ) -> dict[str, Any]:
        """Losses of one right-padded batch.

        `features` holds the frames of all clips in their order, (all frames, encoder width);
        `clip_frames` how many belong to each; `transcripts` the clips' texts end to end; `traits`
        what `traits.trait_ids` says of each.
        """
        heard = input_ids == self.model.config.audio_token_id
        words = self.model.get_input_embeddings()(input_ids)
        features = features.to(words.dtype)
        if self.ears and len(clip_frames):
            features = self.ears(features, clip_frames)
            clip_frames = clip_frames // POSITIONS_PER_TOKEN
        if self.masking and self.training:
            speech = (transcript_lengths > 0).repeat_interleave(clip_frames)
            features = self.masking.clips(features, speech)
            words = self.masking.replies(words, labels != IGNORED)
        embeds = self._filled(words, heard, features)
        hidden, tapped = self.decode(self.model.model.language_model, embeds, self.ctc_layer)
        reply = self._reply_loss(hidden, labels)
        if self.ctc is None or self.traits is None or not len(clip_frames):
            return {"loss": reply, "reply_loss": reply.detach()}
        sounds = self._tapped(tapped[heard])
        scores = self.ctc(sounds).float().log_softmax(-1)
        transcript = self._transcript_loss(scores, clip_frames, transcripts, transcript_lengths)
        trait = self.traits(sounds, clip_frames, traits)
        loss = reply + self.ctc_weight * transcript + TRAIT_WEIGHT * trait
        parts = {"reply_loss": reply, "ctc_loss": transcript, "trait_loss": trait}
        return {"loss": loss, **{name: part.detach() for name, part in parts.items()}}

    def activation_checkpointing_enable(self, **how: Any) -> None:
        """What `Trainer` asks for: layers are computed again instead of kept for the way back."""
        self.model.activation_checkpointing_enable(**how)

    def _tapped(self, sounds: torch.Tensor) -> torch.Tensor:
        """What the heads get: at first without a way back into a decoder that knows more."""
        if not (self.training and self.alone):
            return sounds
        self.alone -= 1
        return sounds.detach()

    def _filled(
        self, words: torch.Tensor, heard: torch.Tensor, features: torch.Tensor
    ) -> torch.Tensor:
        """Embeddings of a batch, with sound where it is `heard`."""
        sounds = self.model.model.multi_modal_projector(features).to(words.dtype)
        return words.masked_scatter(heard[..., None], sounds)

    def _reply_loss(self, hidden: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        said = labels[:, 1:] != IGNORED
        logits = self.model.lm_head(hidden[:, :-1][said]).float()
        return nn.functional.cross_entropy(logits, labels[:, 1:][said])

    def _transcript_loss(
        self,
        scores: torch.Tensor,
        clip_frames: torch.Tensor,
        transcripts: torch.Tensor,
        transcript_lengths: torch.Tensor,
    ) -> torch.Tensor:
        """Per token of transcript, so that long clips count for what they hold."""
        clips = torch.arange(len(clip_frames), device=scores.device)
        starts = clip_frames.cumsum(0) - clip_frames
        clip_of = clips.repeat_interleave(clip_frames)
        frame = torch.arange(len(scores), device=scores.device) - starts[clip_of]
        padded = scores.new_zeros(int(clip_frames.max()), len(clips), scores.shape[-1])
        padded = padded.index_put((frame, clip_of), scores)
        losses = nn.functional.ctc_loss(
            padded,
            transcripts,
            clip_frames,
            transcript_lengths,
            blank=self.blank,
            reduction="sum",
            zero_infinity=True,
        )
        return losses / (transcript_lengths.sum() + len(clip_frames))
