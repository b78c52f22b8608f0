"""From a name to a card: what a user types, and what published tables print.

Names are compared without case, spaces and punctuation. A description such as
`8x H100 80GB SXM5` is read as a model (H100), a form (SXM) and a capacity (80 GB).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache

from suiren.hw.catalog import CARDS
from suiren.hw.spec import Card
from suiren.units import GB, GiB

#: Words that tell the form of a card. Where several stand in a text, the first row wins.
FORM_WORDS = {
    "NVL": ("nvl",),
    "PCIe": ("pcie", "pairwise"),
    "SXM": ("sxm", "sxm2", "sxm3", "sxm4", "sxm5", "dgx", "hgx"),
}
#: Words that add nothing to a model name, so that a typed name may carry them.
FILLER = frozenset(
    {
        "nvidia",
        "nv",
        "amd",
        "intel",
        "habana",
        "google",
        "huawei",
        "enflame",
        "aws",
        "tesla",
        "geforce",
        "radeon",
        "instinct",
        "quadro",
        "gpu",
        "npu",
        "tpu",
        "accelerator",
        "ai",
        "tensor",
        "core",
        "graphics",
        "card",
        "hbm",
        "hbm2",
        "hbm2e",
        "hbm3",
        "hbm3e",
        "gb",
        "gib",
        "g",
        "nvlink",
    }
)
#: Words by which a table says that it does not name its hardware.
UNDISCLOSED = frozenset({"unnamed", "undisclosed"})
#: Makers whose cards have names like others' (`BI-V100`), with the catalogue's spelling; none of
#: those without one is in it.
MAKERS = {"iluvatar": "Iluvatar", "metax": "MetaX", "kunlunxin": "Kunlunxin", "hygon": "Hygon",
          "cambricon": "Cambricon", "biren": "Biren", "mthreads": "Moore Threads",
          "moore": "Moore Threads"}  # fmt: skip
_LONGEST_PHRASE = 5


class UnknownChip(ValueError):  # noqa: N818 - reads as what it is
    """No card of the catalogue has this name; the message names the nearest ones."""


def find_card(name: str) -> Card:
    """The card a user means by `name`: its name, an alias, or model, form and capacity."""
    exact = _by_spelling().get(_squash(name))
    if exact is not None:
        return CARDS[exact]
    found = _described(name)
    if found is not None and _is_all_understood(name, found):
        return found
    raise UnknownChip(_nearest(name))


def card_for_hardware(text: str) -> Card | None:
    """The card that the `hardware` column of a published table names, or None.

    A note in square brackets is read first, for it is the driver's own name.
    """
    words = set(_words(text))
    if UNDISCLOSED & words:
        return None
    maker = next((m for word, m in MAKERS.items() if word in words), None)
    for part in (*re.findall(r"\[([^\]]*)\]", text), text):
        found = _described(part)
        if found is not None and maker in (None, found.chip.vendor):
            return found
    return None


def _words(text: str) -> list[str]:
    """Lowercase words of letters and digits, without counts (`8x`) and trade marks."""
    plain = re.sub(r"\((r|tm)\)", " ", text.lower())
    words = re.findall(r"[a-z0-9]+", plain)
    uncounted = [re.sub(r"^[1-9]\d*x(?=[a-z]\w)", "", word) for word in words]
    return [word for word in uncounted if not re.fullmatch(r"\d+x", word)]


def _squash(text: str) -> str:
    """The text as one word: `RTX A6000` and `rtx-a6000` are the same."""
    return re.sub(r"[\W_]+", "", text.lower())


@cache
def _by_spelling() -> dict[str, str]:
    """Card name by each of its spellings, squashed; an earlier card wins."""
    spellings: dict[str, str] = {}
    for name in CARDS:
        spellings[_squash(name)] = name
    for card in CARDS.values():
        for alias in card.aliases:
            spellings.setdefault(_squash(alias), card.name)
    return spellings


@cache
def _models() -> dict[str, tuple[Card, ...]]:
    """Cards by squashed model name: a spelling without form and capacity."""
    models: dict[str, list[Card]] = {}
    for card in CARDS.values():
        for spelling in (card.name, *card.aliases):
            cards = models.setdefault(_squash("".join(_model_words(spelling, card))), [])
            if card not in cards:
                cards.append(card)
    return {model: tuple(cards) for model, cards in models.items() if model}


def _model_words(spelling: str, card: Card) -> Iterator[str]:
    """The words of a spelling that tell the model, not the form or the capacity."""
    forms = {word for words in FORM_WORDS.values() for word in words}
    for word in re.findall(r"\w+", spelling.lower()):
        if word not in forms and not (_capacities(word) & _nominal_gb(card)):
            yield word


def _described(text: str) -> Card | None:
    """The first card of the longest model named in the text that fits form and capacity."""
    words = _words(text)
    cards = _named_model(words)
    if not cards:
        return None
    form = next((f for f, said in FORM_WORDS.items() if set(said) & set(words)), None)
    capacities = {gb for word in words for gb in _capacities(word)}
    cards = tuple(c for c in cards if c.form == form) or cards
    cards = tuple(c for c in cards if _nominal_gb(c) & capacities) or cards
    return cards[0]


def _named_model(words: list[str]) -> tuple[Card, ...]:
    """The cards of the longest run of words that is a model name."""
    runs = (
        "".join(words[start : start + length])
        for length in range(_LONGEST_PHRASE, 0, -1)
        for start in range(len(words) - length + 1)
    )
    known = [run for run in runs if run in _models()]
    return _models()[max(known, key=len)] if known else ()


def _capacities(word: str) -> set[int]:
    """Gigabytes a word may mean: `80`, `80gb`, `80gib`."""
    match = re.fullmatch(r"(\d{1,3})(g|gb|gib)?", word)
    return {int(match[1])} if match else set()


def _nominal_gb(card: Card) -> set[int]:
    """The capacity as the name of a card prints it, in GB or in GiB."""
    return {round(card.memory_bytes / GiB), round(card.memory_bytes / GB)}


def _is_all_understood(name: str, card: Card) -> bool:
    """True if every word of a typed name is model, form, capacity or filler."""
    forms = {word for words in FORM_WORDS.values() for word in words}
    rest = [
        word
        for word in _words(name)
        if word not in FILLER and word not in forms and not _capacities(word) & _nominal_gb(card)
    ]
    spellings = {_squash(s) for s in (card.name, *card.aliases)} | {
        model for model, cards in _models().items() if card in cards
    }
    return "".join(rest) in spellings or _squash(name) in spellings


def _nearest(name: str) -> str:
    """One sentence that says the name is unknown and lists the nearest names."""
    near = get_close_matches(_squash(name), list(_by_spelling()), n=6, cutoff=0.3)
    names = list(dict.fromkeys(_by_spelling()[spelling] for spelling in near))[:3]
    if names:
        return f"no chip is called {name!r}; the nearest names are {', '.join(names)}"
    return f"no chip is called {name!r}; `suiren chips` lists all {len(CARDS)}"
