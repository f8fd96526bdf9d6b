"""The door of the command."""

import sys

from demo.batch.command import main

if __name__ == "__main__":
    sys.exit(main())
