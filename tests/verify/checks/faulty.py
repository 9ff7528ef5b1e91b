"""A fault of a rendered file, as the tests of practices plant it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """Replacements in a rendered file, and the pattern of the reason for which its check then fails."""

    reason: str
    replacements: dict[str, str]

    def of(self, text: str) -> str:
        """The text with the fault."""
        for old, new in self.replacements.items():
            assert old in text, old
            text = text.replace(old, new)
        return text
