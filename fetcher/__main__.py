"""`python -m fetcher` and the console script."""

import gc
import sys

from fetcher.front import answer

_GARBAGE = 150_000  # new objects between two looks for garbage; loading makes none, and 700 cost a tenth of `--help`


def main() -> None:
    """Answer at once if nothing is to do; else run the command line."""
    try:
        if answer(sys.argv[1:]):
            return
    except KeyboardInterrupt:
        sys.exit(130)
    gc.set_threshold(_GARBAGE)
    from fetcher.cli.app import run  # imported when it runs: a no-op must not pay for it

    try:
        run()
    finally:
        gc.freeze()  # or Python looks through all that was loaded once more before it ends, a tenth of a short command


if __name__ == "__main__":
    main()
