"""`python -m sisgen VERB ...`, the same as the `sisgen` command."""

from __future__ import annotations

import sys

from sisgen.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
