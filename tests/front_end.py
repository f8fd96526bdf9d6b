"""Tries a front end: what it imports is there where requirements-remote.txt alone is installed.

`python -m tests.front_end` is run with that environment's Python; beside it, this needs the
standard library only. It prints the seconds from the app's start to its first sign of life.
"""

import time
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import urlopen

from gradio_client import Client

from tests.openai_server import MODEL, saying, talking
from tests.serving import READY, serving


def main() -> None:
    assert find_spec("torch") is None, "torch is here: this is no front end's environment"
    with TemporaryDirectory() as folder, talking(saying("I hear", " it.")) as model:
        flags = ["--engine", "openai", "--base-url", model.url, "--model", MODEL]
        start = time.monotonic()
        with serving(Path(folder) / "log", *flags, ready=False) as app:
            with urlopen(f"{app.url}/healthz", timeout=10) as answer:
                assert answer.status == 200, answer.status
            print(f"/healthz answered after {time.monotonic() - start:.1f} s")
            app.wait_until(READY)
            client = Client(app.url, verbose=False)
            reply = client.predict({"text": "What is it?", "files": []}, api_name="/chat")
    assert reply == "I hear it.", reply


if __name__ == "__main__":
    main()
