"""What pages and screens about computing centres say, in English and Chinese."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

LANGUAGES = ("en", "zh")


class Words:
    """All texts in one language."""

    def __init__(self, language: str) -> None:
        """Raises KeyError for a language that is not there."""
        self.language = language
        self._at = {name: n for n, name in enumerate(LANGUAGES)}[language]

    def __call__(self, key: str, **given: object) -> str:
        """The text of a key with its places filled; a key that has no text is its own."""
        if key.startswith("mean_s "):
            return f"{self('mean time between failures')}, {self(key.removeprefix('mean_s '))}"
        found = texts().get(key)
        text = key if found is None else found[self._at]
        return text.format(**given) if given else text

    def price(self, name: str) -> str:
        """What a price is for."""
        return self("price of", name=self(name))

    def several(self, names: list[str]) -> str:
        """Names in a row."""
        return ("、" if self.language == "zh" else ", ").join(self(name) for name in names)


@cache
def texts() -> dict[str, list[str]]:
    """Every text by key: one for each of `LANGUAGES`."""
    read = files("suiren.report").joinpath("centre_words.toml").read_text(encoding="utf-8")
    return tomllib.loads(read)
