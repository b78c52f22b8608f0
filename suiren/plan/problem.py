"""What is asked of a planner: a model, machines, a goal, limits, and what may vary."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import suiren
from suiren.fleet.framework import FRAMEWORKS, Framework
from suiren.fleet.sharded_framework import PYTORCH
from suiren.hw.cluster import Cluster
from suiren.hw.find_cluster import cluster_of

Goal = Literal["time", "energy", "cost", "chips"]
GOALS: tuple[Goal, ...] = ("time", "energy", "cost", "chips")


class BadProblem(ValueError):  # noqa: N818 - reads as what it is
    """A question that cannot be answered as it stands; the sentence says what is missing."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an answer has to stay within; 0 for no limit."""

    memory_bytes: float = 0.0
    """Of a card; 0 for the card's own memory."""
    power_w: float = 0.0
    """Of all cards together, averaged over a step."""
    deadline_s: float = 0.0
    """For all tokens."""
    budget: float = 0.0
    """For all tokens, in the currency of the prices."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """So many cards of a cluster."""

    name: str
    ranks: int
    price_per_card_hour: float = 0.0
    """In the user's currency; 0 where none was given."""

    def cluster(self) -> Cluster:
        """The cluster; raises UnknownCluster, UnknownChip or BadClusterFile."""
        return _cluster(self.name, self.ranks)


@lru_cache(maxsize=1)
def _code() -> str:
    """A hash of all sources: what another version found is no answer of this one."""
    digest = hashlib.sha256()
    for file in sorted(Path(suiren.__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


@lru_cache(maxsize=64)
def _cluster(name: str, ranks: int) -> Cluster:
    """One object a cluster: what was worked out for it is remembered under it."""
    return cluster_of(name, ranks)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """The whole question."""

    model: str
    """A bundled name, or the path of a `config.json` or of a training script."""
    machines: tuple[Machine, ...]
    global_batch: int
    seq: int = 0
    """Tokens of a sequence; 0 for the model's own."""
    goal: Goal = "time"
    limits: Limits = Limits()
    choices: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """Fields of a layout that may take these values only."""
    framework: str = "pytorch"
    """`pytorch`: parts traced from real modules; a name of fleet/framework.py: by formula."""
    lora_rank: int = 0
    tokens: float = 0.0
    """To be trained on, for deadlines and budgets."""
    arguments: tuple[str, ...] = ()
    """Of a script; `{micro_batch}` in them stands for the micro-batch that is tried."""

    @property
    def is_script(self) -> bool:
        """Whether the model is a user's own training script."""
        return self.model.endswith(".py")

    @property
    def key(self) -> str:
        """Names the question, the files it speaks of, and the code that answers it."""
        digest = hashlib.sha256(_code().encode())
        digest.update(json.dumps(asdict(self), sort_keys=True, default=str).encode())
        for name in (self.model, *(m.name for m in self.machines)):
            if Path(name).is_file():
                digest.update(Path(name).read_bytes())
        return digest.hexdigest()[:16]

    def check(self) -> None:
        """Raises BadProblem for a goal or a limit that lacks what it is measured by."""
        unpriced = [m.name for m in self.machines if not m.price_per_card_hour]
        if (self.goal == "cost" or self.limits.budget) and unpriced:
            raise BadProblem(f"no price of {unpriced[0]} was given: prices are inputs, say "
                             f"--price {unpriced[0]}=1.50 for 1.50 a card and hour")  # fmt: skip
        if (self.limits.deadline_s or self.limits.budget) and not self.tokens:
            raise BadProblem("a deadline or a budget is for a number of tokens: say --tokens 2e12")
        if self.goal == "chips" and not self.limits.deadline_s:
            raise BadProblem("fewest chips for what? say --tokens and --days")

    def framework_of(self) -> Framework:
        """The framework, its parts by formula; raises BadProblem for an unknown one."""
        if self.framework == PYTORCH.name:
            return PYTORCH
        if self.framework not in FRAMEWORKS:
            raise BadProblem(f"no framework is called {self.framework!r}; known are "
                             f"{', '.join([PYTORCH.name, *FRAMEWORKS])}")  # fmt: skip
        return FRAMEWORKS[self.framework]
