"""The back of the audio room: what `demo.audio` is made of. Other rooms use `demo.audio` only."""
