"""The licence of a model card, and JSON that names code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.content.texts import card_license, joined_license, text_format
from tests.core.strategies import unhurried


@pytest.mark.parametrize(
    ("front", "found"),
    [
        ("license: apache-2.0", "apache-2.0"),
        ("license:   MIT  # ours", "mit"),
        ('license: "cc-by-4.0"', "cc-by-4.0"),
        ("license: 'mit'", "mit"),
        ("language: en\nlicense: Apache License 2.0\ntags:\n- x", "apache-2.0"),
        ("license: other\nlicense_name: qwen-research\nlicense_link: LICENSE", "other:qwen-research"),
        ("license_name: x\nlicense: mit", "mit"),
        ("license: [mit, apache-2.0]", "mit, apache-2.0"),
        ("license:\n- mit\n- apache-2.0\ntags:\n- b", "mit, apache-2.0"),
        ("license:\n  - mit", "mit"),
        ("tags:\n- license\n- mit", None),
        ("  license: mit", None),
        ("license: |\n  mit", None),
        ("license:", None),
        ("license: null", None),
        ("license: &x mit", None),
        ("licenses: mit", None),
        ("license: \u202emit\u0007", "mit"),
    ],
)
def test_the_front_matter_of_a_card_names_the_licence(front: str, found: str | None) -> None:
    """As hubs read it; what is no plain line is not guessed at."""
    assert card_license(f"---\n{front}\n---\n# A model\nlicense: gpl\n") == found
    assert card_license(f"\ufeff---\r\n{front.replace(chr(10), chr(13) + chr(10))}\r\n---\r\n") == found
    assert card_license(f"# A model\n---\n{front}\n---\n") is None
    assert card_license(f"---\n{front}\n") is None


@given(st.text(max_size=200), st.lists(st.text(max_size=100), max_size=4))
@unhurried
def test_a_licence_is_one_line_that_a_lock_takes(text: str, several: list[str]) -> None:
    """Whatever a hub says."""
    for found in (card_license(text), card_license(f"---\nlicense: {text}\n---\n"), joined_license(several)):
        assert found is None or (0 < len(found) <= 200 and found.isprintable() and found == found.strip())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"auto_map": {"AutoModel": "own.Model"}}', "json-auto-map"),
        ('\ufeff{"auto_map": {"AutoTokenizer": ["own.T", null]}}', "json-auto-map"),
        ('{"auto_map": {"AutoTokenizer": ["a/b--own.T", null]}}', "json-auto-map-elsewhere"),
        ('{"auto_map": {}}', "json"),
        ('{"auto_map": null}', "json"),
        ('{"inner": {"auto_map": {"AutoModel": "own.Model"}}}', "json"),
        ('[{"auto_map": {"AutoModel": "own.Model"}}]', "json"),
        ("{{ a template }}", "text"),
        ("[" * 100_000, "text"),
        ("", "text"),
    ],
)
def test_json_that_names_code_is_told_from_json(text: str, found: str) -> None:
    """The map counts where a library looks for it: at the top."""
    assert text_format("config.json", text, is_whole=True) == found
