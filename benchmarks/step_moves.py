"""Writes data/steps/*.moves.gz: what is allocated and freed in the first steps of known models.

Sizes are functions of the batch, taken from three of them. The steps are those of PyTorch before
2.0, whose `zero_grad` keeps the gradients. A convolution that wants images channels last takes a
workspace for the copies as it starts and gives it back as it ends.

    python benchmarks/step_moves.py [NAME ...]
"""

from __future__ import annotations

import gzip
import itertools
import json
import sys

from traced_models import BATCHES, NAMES, ROOT, traced, train

FOLDER = ROOT / "data" / "steps"
#: The third step is like the second: by then all states are there.
NUM_STEPS = 3
#: Sizes are rounded up to it.
ROUND_BYTES = 512
#: What is smaller and grows unevenly, such as a reduction's partial sums, is taken at its largest.
SMALL_BYTES = 1 << 20


def moves(name: str, batch: int) -> None:
    """Prints [kind, bytes or number of what is freed] of all steps; a process of its own."""
    from suiren.hw.names import find_card
    from suiren.mapper.memory import live_before
    from suiren.trace.program import Kind
    from suiren.truth.steps_traced import turned

    program, _ = train(name, batch, NUM_STEPS, set_to_none=False)
    card = find_card("a100")
    found: list[tuple[str, int]] = []
    taken = 0
    live: dict[int, tuple[int, int]] = {}
    for step in program.all_steps():
        live = _renamed(live, {n: size for n, (size, _) in live_before(step).items()})
        for kind, what, _, _, value in step.events.tolist():
            if kind == Kind.ALLOC:
                live[what] = (value, taken)
                taken += 1
                found.append(("+", value))
            elif kind == Kind.FREE:
                found.append(("-", live.pop(what)[1]))
            elif kind == Kind.OP:
                call = program.calls[what]
                copies = [t for turn in turned(call, card) for t in turn.results()]
                if copies:
                    found.append(("w", sum(t.bytes for t in copies)))
    print(json.dumps(_sorted(found)))


def _sorted(found: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """What is freed in one go, such as autocast's copies, in order of allocation."""
    ordered: list[tuple[str, int]] = []
    for is_free, run in itertools.groupby(found, lambda move: move[0] == "-"):
        moves_of_run = list(run)
        ordered += sorted(moves_of_run) if is_free else moves_of_run
    return ordered


def _renamed(
    live: dict[int, tuple[int, int]], wanted: dict[int, int]
) -> dict[int, tuple[int, int]]:
    """Allocations under the numbers of the next step: equal steps are kept once."""
    same = {n: live[n] for n, size in wanted.items() if n in live and live[n][0] == size}
    spare: dict[int, list[tuple[int, int]]] = {}
    for n, one in live.items():
        if n not in same:
            spare.setdefault(one[0], []).append(one)
    return {n: same[n] if n in same else spare[size].pop(0) for n, size in wanted.items()}


def _line(sizes: tuple[int, ...]) -> tuple[int, int, int]:
    """Bytes for every sample, bytes beside them, and how far the line misses."""
    slope = round((sizes[2] - sizes[0]) / (BATCHES[2] - BATCHES[0]))
    rest = sizes[0] - slope * BATCHES[0]
    rest = 0 if abs(rest) <= ROUND_BYTES else rest
    return slope, rest, max(abs(slope * b + rest - s) for b, s in zip(BATCHES, sizes, strict=True))


def sized(sizes: tuple[int, ...]) -> str:
    """Bytes at the three batches as text: `7` or `{3+5}`, up to the rounding or a thousandth."""
    if len(set(sizes)) == 1:
        return str(sizes[0])
    slope, rest, wrong = _line(sizes)
    if wrong > max(2 * ROUND_BYTES, sizes[2] // 1000):
        if max(sizes) < SMALL_BYTES:
            return str(max(sizes))
        raise ValueError(f"not linear in the batch: {sizes}")
    return f"{{{slope}{rest:+d}}}" if rest else f"{{{slope}}}"


def write(name: str) -> str:
    """Traces a model at all batches and writes its file; says what became of it."""
    found = traced(__file__, name)
    if isinstance(found, str):
        return found
    if len({tuple((k, v * (k == "-")) for k, v in one) for one in found}) > 1:
        return "the batches differ in what they allocate"
    words = []
    for same in zip(*found, strict=True):
        kind, sizes = same[0][0], tuple(size for _, size in same)
        words.append(kind + (str(sizes[0]) if kind == "-" else sized(sizes)))
    with gzip.GzipFile(FOLDER / f"{name}.moves.gz", "wb", mtime=0) as file:
        file.write((" ".join(words) + "\n").encode())
    return f"{len(words)} moves"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--trace"]:
        moves(sys.argv[2], int(sys.argv[3]))
    else:
        for one in sys.argv[1:] or NAMES:
            print(f"{one}: {write(one)}", flush=True)
