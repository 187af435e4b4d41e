"""What a program that uses models is told by its environment."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.variables import Provided, model_variables, variable_of
from fetcher.errors import ConfigError


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True))
def test_every_name_makes_a_variable_that_shells_can_set(name: str) -> None:
    """Names of models may hold dots and dashes."""
    assert re.fullmatch(r"FETCHER_MODEL_[A-Z0-9_]+", variable_of(name))


def test_two_models_do_not_share_a_variable() -> None:
    """One of them would be the other."""
    models = [Provided(name="bge-small.zh", folder="/a"), Provided(name="BGE_small_zh", folder="/b")]
    with pytest.raises(ConfigError) as caught:
        model_variables(models)
    assert str(caught.value) == (
        "Two models share the variable FETCHER_MODEL_BGE_SMALL_ZH.\n"
        "  models: bge-small.zh, BGE_small_zh\n"
        "  fix: name the one that is needed, or rename the other"
    )
    assert model_variables(models[:1]) == {"FETCHER_MODEL_BGE_SMALL_ZH": "/a"}
