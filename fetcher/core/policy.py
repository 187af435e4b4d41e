"""What a project allows: [policy] of models.toml as values.

What in a lock breaks it is verdicts.py; reading the text is formats/policy_tables.py.
"""

from dataclasses import dataclass
from typing import Literal

Level = Literal["deny", "warn", "allow"]
Rule = Literal["sources", "hosts", "licenses", "size", "age", "formats"]
LEVELS: tuple[Level, ...] = ("deny", "warn", "allow")
RULES: tuple[Rule, ...] = ("sources", "hosts", "licenses", "size", "age", "formats")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """A rule about names: shell patterns, of which `deny` beats `warn` beats `allow`.

    Attributes:
        other: What holds for a name that none of them matches; None is `deny` where
            something is allowed by name, else `allow`.
    """

    deny: tuple[str, ...] = ()
    warn: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    other: Level | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRule:
    """How large things may be, in bytes.

    Attributes:
        total: All models together, each content once.
        model: One model.
    """

    total: int | None = None
    model: int | None = None
    level: Level = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeRule:
    """How long ago a commit must have been made, in seconds."""

    minimum_s: float
    level: Level = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """What is taken although a rule is against it.

    Attributes:
        models, files: Shell patterns; empty is all.
        reason: Why; for those who read models.toml.
    """

    rule: Rule
    models: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """[policy]; None is a rule that was left out."""

    sources: Choices | None = None
    hosts: Choices | None = None
    licenses: Choices | None = None
    size: SizeRule | None = None
    age: AgeRule | None = None
    formats: Choices | None = None
    waivers: tuple[Waiver, ...] = ()

    @property
    def records(self) -> frozenset[str]:
        """The keys of a lock's section without which it cannot be checked."""
        needs = (("license", self.licenses), ("committed", self.age), ("formats", self.formats))
        return frozenset(key for key, rule in needs if rule is not None)
