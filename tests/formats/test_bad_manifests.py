"""Every mistake in models.toml has its own message: tests/formats/bad/NAME.toml and NAME.txt."""

from pathlib import Path

import pytest

from fetcher.errors import ConfigError
from fetcher.formats.manifest_toml import read_manifest

BAD = sorted((Path(__file__).parent / "bad").glob("*.toml"))


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_manifest_is_refused_with_its_golden_message(path: Path) -> None:
    """The message is the manual for whoever made the mistake, so all of it is compared."""
    with pytest.raises(ConfigError) as caught:
        read_manifest(path.read_text("utf-8"), file="models.toml")
    assert f"{caught.value}\n" == path.with_suffix(".txt").read_text("utf-8")
    assert caught.value.exit_code == 2


def test_each_golden_message_has_its_manifest() -> None:
    """A message without a file would never be compared; issue 2 asks for 25 kinds at least."""
    texts = {path.stem for path in (Path(__file__).parent / "bad").glob("*.txt")}
    assert texts == {path.stem for path in BAD}
    assert len(BAD) >= 25


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_no_message_repeats_a_secret(path: Path) -> None:
    """The secrets of these files begin with `ms-1234` or `hf_`; messages end in logs (design 4, rule 9)."""
    with pytest.raises(ConfigError) as caught:
        read_manifest(path.read_text("utf-8"), file="models.toml")
    assert "ms-1234" not in str(caught.value)
    assert "hf_" not in str(caught.value)
    error = caught.value
    assert error.__suppress_context__ or error.__context__ is None, "a traceback would show what pydantic was given"
