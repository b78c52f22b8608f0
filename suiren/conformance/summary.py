"""What a sweep found, counted: the JSON document and the numbers on the screen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from suiren.conformance.expected import reason_of
from suiren.conformance.sweep import Found
from suiren.conformance.verdict import FAILED, PASSED, SKIPPED, Verdict


@dataclass(frozen=True)
class Summary:
    """Counts of a sweep; a sample that the host itself cannot compute counts nowhere."""

    found: Found

    @cached_property
    def states(self) -> Counter[str]:
        """Samples by state."""
        return Counter(v.state for v in self.found.verdicts)

    @property
    def passed(self) -> int:
        """Samples whose every check held."""
        return self.states[PASSED]

    @property
    def samples(self) -> int:
        """Samples that the host computes."""
        return self.passed + self.states[FAILED]

    @cached_property
    def ops(self) -> list[str]:
        """Subjects of which at least one sample counts."""
        return sorted({v.op for v in self.found.verdicts if v.state != SKIPPED})

    @cached_property
    def failures(self) -> list[tuple[Verdict, str]]:
        """Every failure with the reason why it is expected; empty if it is not."""
        return [(v, reason_of(v)) for v in self.found.verdicts if v.state == FAILED]

    @cached_property
    def surprises(self) -> list[Verdict]:
        """Failures that nobody expected."""
        return [v for v, reason in self.failures if not reason]

    @cached_property
    def approximated(self) -> list[str]:
        """Ops whose time only counts their traffic."""
        return sorted({op for times in self.found.times.values() for op in times.approximated})

    def share(self) -> float:
        """Passed samples of those the host computes, 0 to 1."""
        return self.passed / self.samples if self.samples else 1.0

    def by_dtype(self) -> dict[str, tuple[int, int]]:
        """(samples, passed) for every format; `error` are wrong inputs."""
        kept = [v for v in self.found.verdicts if v.state != SKIPPED]
        every = Counter(v.dtype for v in kept)
        good = Counter(v.dtype for v in kept if v.state == PASSED)
        return {dtype: (every[dtype], good[dtype]) for dtype in every}

    def document(self, card: str) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "card": card,
            "ops": len(self.ops),
            "samples": self.samples,
            "passed": self.passed,
            "failed": self.states[FAILED],
            "skipped": self.states[SKIPPED],
            "complete": not self.found.interrupted,
            "by_dtype": {
                dtype: {"samples": counts[0], "passed": counts[1]}
                for dtype, counts in self.by_dtype().items()
            },
            "calls_timed": sum(t.calls - len(t.failed) for t in self.found.times.values()),
            "ops_approximated": self.approximated,
            "failures": [
                {
                    "op": v.op, "dtype": v.dtype, "sample": v.sample, "check": v.check,
                    "message": v.message, "expected": reason,
                }
                for v, reason in self.failures
            ],
        }  # fmt: skip
