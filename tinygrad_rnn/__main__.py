"""``python -m tinygrad_rnn``."""

import sys

from tinygrad_rnn.cli import main

if __name__ == "__main__":
    sys.exit(main())
