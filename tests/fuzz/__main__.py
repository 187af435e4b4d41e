"""`make fuzz`: atheris on every target, beginning with the kept corpus.

    python -m tests.fuzz SECONDS [TARGET...]

What it finds new is added to the corpus; a crash stays as a file beside it, and the run fails.
"""

import subprocess
import sys
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")


def main() -> int:
    seconds, *names = sys.argv[1:]
    failed = [name for name in names or sorted(each.name for each in CORPUS.iterdir()) if _run(name, int(seconds))]
    sys.stdout.write(f"failed: {', '.join(failed) or 'none'}\n")
    return bool(failed)


def _run(name: str, seconds: int) -> int:
    """One target in a process of its own: libFuzzer ends the process."""
    sys.stdout.write(f"== {name}, {seconds} s\n")
    sys.stdout.flush()
    code = f"from tests.fuzz.__main__ import fuzz; fuzz({name!r})"
    limits = [
        f"-max_total_time={seconds}",
        "-max_len=65536",
        "-rss_limit_mb=1024",
        "-timeout=10",
        "-print_final_stats=1",
    ]
    places = [f"-artifact_prefix={CORPUS}/crash-{name}-", str(CORPUS / name)]
    return subprocess.run([sys.executable, "-c", code, *limits, *places], check=False).returncode


def fuzz(name: str) -> None:
    """Runs until its time is over."""
    import atheris

    with atheris.instrument_imports(include=["fetcher"]):
        from tests.fuzz.targets import TARGETS
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
