"""A user's own script as a model to plan for: each micro-batch run once, whole copies on cards.

What a script computes cannot be split without changing it. What can be chosen around it is how
many cards hold a copy, how many sequences each takes at once, how often gradients are summed
before a step, and where the optimizer's states lie.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from suiren.fleet.layout import BadLayout
from suiren.fleet.model import Model
from suiren.fleet.part import Part
from suiren.fleet.share import Share
from suiren.mapper.families import work_of
from suiren.plan.pieces import whole_step
from suiren.plan.problem import BadProblem
from suiren.report.batch import batch_of
from suiren.trace.call import Call
from suiren.trace.program import Program
from suiren.trace.text import load_program

#: What stands in a script's arguments for the samples of a micro-batch.
MARK = "{micro_batch}"
#: Steps after which a script's steps repeat.
_STEPS = 4


@dataclass(frozen=True, kw_only=True)
class ScriptModel(Model):
    """A script's model: one layer, whose sizes are counted and not known by name."""

    weights: int
    flop: float
    """Of the matrix products of one sample, forward and backward."""

    def layer_params(self, layer: int = 0) -> int:
        """All weights."""
        return self.weights

    @property
    def norm_params(self) -> int:
        """Counted among the others."""
        return 0

    @property
    def embedding_params(self) -> int:
        """Counted among the others."""
        return 0

    @property
    def params(self) -> int:
        """All weights."""
        return self.weights

    def flop_per_sample(self) -> float:
        """FLOP of the products that were recorded."""
        return self.flop


@dataclass(eq=False)
class Recorded:
    """Answers a script's passes by micro-batch; a `Source` of fleet/source.py."""

    parts: dict[int, Part] = field(default_factory=dict)

    def layer(self, share: Share, experts: bool, cross: bool) -> Part:
        """The whole pass; raises BadLayout for a split, which a script does not have."""
        if share.tp * share.cp * share.ep > 1 or share.micro_batch not in self.parts:
            raise BadLayout("impossible layout: a script is planned for in whole copies, at the "
                            f"micro-batches {', '.join(map(str, self.parts))}")  # fmt: skip
        return self.parts[share.micro_batch]

    def embedding(self, share: Share) -> Part:
        """Nothing: it is part of the whole."""
        return Part()

    def head(self, share: Share) -> Part:
        """Nothing: it is part of the whole."""
        return Part()


@dataclass(frozen=True, slots=True)
class Read:
    """A script's model, its passes, and the format of its weights."""

    model: ScriptModel
    source: Recorded
    precision: str


def read_script(
    script: Path, arguments: tuple[str, ...], card: str, micro_batches: tuple[int, ...]
) -> Read:
    """Runs the script once for each micro-batch, without values.

    `{micro_batch}` in the arguments is replaced; without it the script is run as it is, and its
    own batch is the only one. Raises BadProblem where it does not train.
    """
    if not script.is_file():
        raise BadProblem(f"there is no script {str(script)!r} in {Path.cwd()}")
    varied = any(MARK in a for a in arguments)
    parts: dict[int, Part] = {}
    last: Program | None = None
    for wanted in micro_batches if varied else (0,):
        given = tuple(a.replace(MARK, str(wanted)) for a in arguments)
        program = _recorded(script, given, card)
        step = program.distinct[_steady(program, script)]
        samples = batch_of(program, step).samples
        if varied and samples != wanted:
            raise BadProblem(
                f"{script.name} with {' '.join(given)} trains on {samples} samples a step, not "
                f"{wanted}: {MARK} is to stand for the micro-batch"
            )
        parts[samples] = whole_step(step, program)
        last = program
    assert last is not None
    return _read(script, last, Recorded(parts))


def _read(script: Path, program: Program, source: Recorded) -> Read:
    formats = [kind for _, kind in program.facts.get("parameters", ())]
    weights = sum(int(n) for n, _ in program.facts.get("parameters", ()))
    if not weights:
        raise BadProblem(f"{script.name} has no module whose weights are trained")
    samples, part = next(iter(source.parts.items()))
    flop = sum(work_of(t).product_flop for t in (*part.forward, *part.backward)
               if isinstance(t, Call)) / samples  # fmt: skip
    model = ScriptModel(
        name=script.stem, layers=1, d_model=1, heads=1, d_ff=1, vocab=1, seq=1, positions="none",
        weights=weights, flop=flop,
    )  # fmt: skip
    wide = formats.count("f32") * 2 >= len(formats)
    return Read(model, source, "fp32" if wide else "fp16" if "f16" in formats else "bf16")


def _steady(program: Program, script: Path) -> int:
    found = program.steady()
    if found is None:
        raise BadProblem(f"{script.name} ended before its optimizer took a step: there is no "
                         "training to plan for")  # fmt: skip
    return found


def _recorded(script: Path, arguments: tuple[str, ...], card: str) -> Program:
    """What a run of the script asked for, in a process of its own."""
    with TemporaryDirectory() as folder:
        trace = Path(folder) / "trace"
        command = [sys.executable, "-P", "-m", "suiren.cli", "run", "--on", card, "--no-numerics",
                   "--memory", "unlimited", "--max-steps", str(_STEPS), "--quiet", "--no-history",
                   "--save-trace", str(trace), str(script), "--", *arguments]  # fmt: skip
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if not trace.is_file():
            lines = [line.strip() for line in ran.stderr.splitlines() if line.strip()]
            own = [line for line in lines if "error:" in line.lower()]
            last = (own or lines or [f"exit code {ran.returncode}"])[0 if own else -1]
            raise BadProblem(f"{script.name} did not run: {last}")
        return load_program(trace)
