"""The demo: sound and words in from a browser page, a Qwen2-Audio reply streamed back into it."""
