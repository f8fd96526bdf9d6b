r"""Scores a Qwen2-Audio checkpoint on a manifest of the original project.

    python -m eval_audio --task asr --language en --manifest librispeech_eval.jsonl \
        --model Qwen/Qwen2-Audio-7B --output runs/librispeech

A line of a manifest has `audio` (a URL, or a path that is absolute or beside the manifest),
`prompt`, `gt` and `source`; for chat `audio`, `id` and `query`. The predictions, the table and the
numbers are in OUTPUT; run again after a stop, it goes on. On several GPUs:

    accelerate launch --multi_gpu --num_processes 8 -m eval_audio --task asr …

The preview checkpoint's own exam, which makes its model card's table:

    python -m eval_audio --task preview --model assets/preview-model --clips DIR [--write]
"""

import argparse
import sys
from collections.abc import Sequence

from demo.messages import UserError
from eval_audio.manifest import EvalError
from eval_audio.options import parse


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 where there is a table, 1 where there is a sentence instead."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--task")
    asked, rest = first.parse_known_args(given)
    if asked.task == "preview":
        from eval_audio import preview  # needs what only the preview's making needs

        preview.main(rest)
        return 0
    options = parse(given, __doc__)
    from eval_audio.run import run  # brings torch and transformers

    try:
        run(options)
    except (EvalError, UserError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. The same command goes on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
