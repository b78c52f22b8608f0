"""Parts of a model traced from its modules, remembered in memory and on disk."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

import suiren
from suiren.fleet.layout import BadLayout
from suiren.fleet.part import Part
from suiren.fleet.share import Share
from suiren.mapper.remember import Memory
from suiren.plan.affine import NotAlike, at
from suiren.plan.pieces import Stack, stack_from_json
from suiren.plan.recorder import Wanted, serve


@lru_cache(maxsize=1)
def _version() -> str:
    """A short hash of the sources that a recording depends on, and of the libraries' versions."""
    from importlib.metadata import version

    digest = hashlib.sha256()
    home = Path(suiren.__file__).parent
    for file in sorted([*home.glob("plan/*.py"), *home.glob("torch/*.py")]):
        digest.update(file.read_bytes())
    for library in ("torch", "transformers"):
        digest.update(version(library).encode())
    return digest.hexdigest()[:16]


class Recording:
    """A recorder in a process of its own; started at the first question."""

    def __init__(self) -> None:
        self._line: Connection | None = None
        self._process: Any = None

    def ask(self, wanted: Wanted) -> dict[str, Any]:
        """The parts as JSON; raises BadLayout with the reason where there are none."""
        if self._line is None:
            context = multiprocessing.get_context("spawn")
            self._line, other = context.Pipe()
            self._process = context.Process(target=serve, args=(other,), daemon=True)
            self._process.start()
            other.close()
        try:
            self._line.send(wanted)
            kind, answer = self._line.recv()
        except (EOFError, OSError):
            self.close()
            raise BadLayout("the process that records layers ended; run the plan again, what was "
                            "found is kept") from None  # fmt: skip
        if kind == "refused":
            raise BadLayout(f"impossible to trace: tp {wanted.tp}, sequence parallel "
                            f"{wanted.sequence_parallel}: {answer}")  # fmt: skip
        found: dict[str, Any] = answer
        return found

    def close(self) -> None:
        """Ends the process."""
        if self._line is not None:
            self._line.close()
            self._process.terminate()
            self._process.join()
            self._line = None


@lru_cache(maxsize=1)
def recording() -> Recording:
    """The one recorder of this process."""
    return Recording()


@dataclass(eq=False)
class Traced:
    """Answers the parts of one model; a `Source` of fleet/source.py.

    `known` travels to other processes; the recorder and the file do not.
    """

    config: dict[str, Any]
    lora_rank: int = 0
    known: dict[str, Stack] = field(default_factory=dict)
    params: dict[str, list[int]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    num_recorded: int = 0
    """Stacks that the recorder was asked for, and not the file."""

    def __post_init__(self) -> None:
        self._text = json.dumps(self.config, sort_keys=True)
        self._file = Memory(user_cache_path("suiren") / "layers.sqlite")

    def __getstate__(self) -> dict[str, Any]:
        return {n: getattr(self, n) for n in ("config", "lora_rank", "known", "params", "refused")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()

    def __hash__(self) -> int:
        return hash((self._text, self.lora_rank))

    def __eq__(self, other: object) -> bool:
        """Two sources of the same modules answer alike."""
        return isinstance(other, Traced) and (self._text, self.lora_rank) == (
            other._text, other.lora_rank
        )  # fmt: skip

    # ---- what fleet asks

    def layer(self, share: Share, experts: bool, cross: bool) -> Part:
        """One layer; raises BadLayout where the modules cannot be split like that."""
        del experts, cross
        return self.stack(share).layer

    def embedding(self, share: Share) -> Part:
        """What comes before the layers."""
        return self.stack(share).embedding

    def head(self, share: Share) -> Part:
        """What comes after them."""
        return self.stack(share).head

    # ---- recorded or remembered

    def wanted(self, share: Share) -> Wanted:
        """What a share asks of the recorder; raises BadLayout for what no recording stands for."""
        if share.cp > 1:
            raise BadLayout("impossible to trace: context parallel layers; plan with --formula")
        is_split = share.sequence_parallel and share.tp > 1
        return Wanted(self._text, share.tp, share.micro_batch, share.seq, share.precision, is_split,
                      self.lora_rank)  # fmt: skip

    def stack(self, share: Share) -> Stack:
        """The parts for a share."""
        return self._find(self.wanted(share))

    def _find(self, wanted: Wanted) -> Stack:
        key = hashlib.sha256(json.dumps(asdict(wanted)).encode()).hexdigest()
        if key in self.refused:
            raise BadLayout(self.refused[key])
        found = self.known.get(key)
        if found is not None:
            return found
        if wanted.micro_batch > 3:
            with suppress(NotAlike):
                two, three = (self._find(replace(wanted, micro_batch=n)) for n in (2, 3))
                return self.known.setdefault(key, at(two, three, wanted.micro_batch))
        text = self._file.get(_version() + key)
        if text is None:
            try:
                answer = recording().ask(wanted)
            except BadLayout as problem:
                self.refused[key] = str(problem)
                raise
            self.num_recorded += 1
            text = json.dumps(answer)
            self._file.put(_version() + key, text)
        answer = json.loads(text)
        if wanted.tp == 1:
            self.params = answer["params"]
        return self.known.setdefault(key, stack_from_json(answer))

    def count(self) -> dict[str, list[int]]:
        """[all, trained] weights of a `layer`, and of the `rest`; raises BadLayout."""
        if not self.params:
            self._find(Wanted(self._text, 1, 1, 128, "bf16", False, self.lora_rank))
        return self.params

    def keep(self) -> None:
        """Writes what was recorded to the file."""
        self._file.write()
