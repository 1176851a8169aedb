"""The command `headrace`, also as `python -m headrace`: what has to go before anything heavy is loaded."""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    # A run makes a dozen objects a request, and loading makes thousands that stay: at its default threshold the
    # collector takes a fifth of the time of the one and a tenth of the other.
    gc.set_threshold(50_000, 20, 50)
    # pydantic would look through every installed package for plugins. We use none.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if "run" in sys.argv[1:]:
        from headrace.sources.spares import start_early

        start_early()
    from headrace.cli.main import main as run_command

    run_command()


if __name__ == "__main__":
    main()
