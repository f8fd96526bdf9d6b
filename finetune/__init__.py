"""Training of Qwen2-Audio: makes the preview checkpoint, and fine-tunes the real model."""
