"""Scores a Qwen2-Audio checkpoint on a manifest, beside what was published. See `__main__`."""
