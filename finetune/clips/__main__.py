"""Makes the library: `python -m finetune.clips --output DIR --seed 1`; goes on after a stop."""

import argparse
import signal
from pathlib import Path

from finetune.clips.production import make_library


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m finetune.clips", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder of the library")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clips", type=int, default=48_000, help="clips to train on")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # or the workers would outlive us
    try:
        make_library(options.output, options.seed, options.clips, options.workers)
    except KeyboardInterrupt:
        raise SystemExit("stopped; the same command goes on from here") from None


if __name__ == "__main__":
    main()
