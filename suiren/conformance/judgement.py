"""What is said of one sample: the checks it went through and the one that failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


@dataclass(frozen=True, slots=True)
class Judgement:
    """One sample of one subject (an operator, a module or an optimizer)."""

    op: str
    dtype: str
    sample: int
    """Number of the sample in the database, from 0."""
    state: str
    """`passed`, `failed`, or `skipped` where the host itself cannot compute the sample."""
    check: str = ""
    """The check that failed."""
    message: str = ""

    def row(self) -> dict[str, Any]:
        """The judgement as plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Times:
    """The distinct calls of one subject, priced."""

    calls: int
    approximated: tuple[str, ...]
    """Ops that no family of kernels covers: their time counts their traffic."""
    failed: tuple[str, ...]
    """Calls without a time, each with the reason."""


class CheckError(Exception):
    """A check that did not hold; says which one and how."""

    def __init__(self, check: str, message: str) -> None:
        super().__init__(message)
        self.check = check
        self.message = message


class NotOnHostError(Exception):
    """The host itself cannot compute this, so there is nothing to compare with."""


def short_name(kind: object) -> str:
    """A format or layout of PyTorch without `torch.`."""
    return str(kind).removeprefix("torch.")


def one_line(problem: BaseException) -> str:
    """An exception as one line of at most 300 characters, with its type."""
    text = " ".join(str(problem).split())
    return f"{type(problem).__name__}: {text}"[:300]


def judged(op: str, dtype: str, sample: int, check: Callable[[], None]) -> Iterator[Judgement]:
    """Runs `check`; yields one judgement."""
    try:
        check()
    except NotOnHostError:
        yield Judgement(op, dtype, sample, SKIPPED)
    except CheckError as problem:
        yield Judgement(op, dtype, sample, FAILED, problem.check, problem.message)
    else:
        yield Judgement(op, dtype, sample, PASSED)
