"""The inputs that are tried against the audio room, and what each one must get.

`python -m tests.inputs` tries them all and prints the table; `tests/test_audio.py` and
`tests/test_fetch.py` fail where one gets something else.
"""

import tempfile
from pathlib import Path

from demo.audio import AudioError, Sandbox, describe
from tests.input_parts import OPEN, Input
from tests.inputs_heard import odd, ordinary
from tests.inputs_hostile import hostile
from tests.inputs_refused import refused
from tests.inputs_urls import urls
from tests.web import serving

__all__ = ["OPEN", "Input", "hostile", "odd", "ordinary", "outcome", "refused", "urls"]


def outcome(trial: Input, place: Path | str, sandbox: Sandbox | None = None) -> tuple[str, str]:
    """What `trial` gets: a key as in `Input.gets`, and the sentence that a person reads."""
    try:
        clip = trial.hear(place, sandbox)
    except AudioError as error:
        return error.key, str(error)
    keys = [warning.key for warning in clip.warnings]
    return " ".join(keys) or "heard", "; ".join(map(str, [describe(clip), *clip.warnings]))


def main() -> None:
    print("| input | gets | says |\n|---|---|---|")
    with serving() as server, tempfile.TemporaryDirectory() as folder:
        trials = [(t, Path(folder)) for t in [*ordinary(), *odd(), *refused(), *hostile()]]
        for trial, place in [*trials, *((t, server) for t in urls())]:
            key, sentence = outcome(trial, place)
            wrong = "" if key == trial.gets else f" (not {trial.gets})"
            print(f"| {trial.title} | {key}{wrong} | {sentence.replace(folder, '')} |")


if __name__ == "__main__":
    main()
