"""Chains on tiles: named dimensions, tile sizes, operands that broadcast, values in registers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from suiren.core.index import Index, Range
from suiren.core.instruction import INSTRUCTIONS
from suiren.core.language import Core, Source
from suiren.core.tile import KernelMistake, Tensor, Tile, View
from suiren.dtype import FORMATS
from suiren.kernels.chain import Chain, Word

POSITION = "position"


def compute_format(*dtypes: str) -> str:
    """The format values in between have: f32 for narrow floats, the widest integer otherwise."""
    if "f64" in dtypes:
        return "f64"
    if any(FORMATS[d].is_float for d in dtypes):
        return "f32"
    return "i64" if any(FORMATS[d].is_wide for d in dtypes) else "i32"


def steps_of(sizes: Sequence[int], elements: int, widest: int | None = None) -> tuple[int, ...]:
    """Tile sizes of about `elements` numbers: whole rows first, then as many rows as fit.

    `widest` bounds the last dimension.
    """
    steps: list[int] = []
    left = max(1, elements)
    for size in reversed(sizes):
        most = left if steps or widest is None else min(left, widest)
        steps.append(max(1, min(size, most)))
        left //= steps[-1]
    return tuple(reversed(steps))


def piece(
    tensor: Tensor,
    names: tuple[str, ...],
    ranges: Mapping[str, Range],
    at: Mapping[str, Index] | None = None,
) -> View:
    """The part of a tensor with dimensions `names` at `ranges`, in the order of `ranges`.

    The tile has one dimension for each of `ranges`, of size 1 where the tensor lacks it. Other
    dimensions stand at the position `at` names, or at 0.
    """
    dims = list(ranges)
    order = sorted(range(len(names)), key=lambda d: dims.index(names[d]) if names[d] in dims else d)
    turned = tensor if order == list(range(len(names))) else tensor.permute(*order)
    known: dict[str, Range | Index] = {**(at or {}), **ranges}
    places = tuple(known.get(names[d], 0) for d in order)
    groups: list[tuple[int, ...]] = []
    for dim in dims:
        groups.append((sum(map(len, groups)),) if dim in names else ())
    return View(turned, turned[places].places, tuple(groups))


def tile_shape(names: tuple[str, ...], steps: Mapping[str, int]) -> tuple[int, ...]:
    """Shape of the tile of a tensor with dimensions `names`: 1 where it lacks one."""
    return tuple(step if dim in names else 1 for dim, step in steps.items())


def positions(core: Core, word: str, ranges: Mapping[str, Range], sizes: Mapping[str, int]) -> Tile:
    """Whole numbers: positions along one dimension (`position_M`), or of elements in order."""
    dims = list(ranges)
    one = word.removeprefix(POSITION + "_")
    found: Tile | None = None
    for dim in reversed(dims) if word == POSITION else [one]:
        if dim not in dims:
            raise KernelMistake(f"{word}: the result has no dimension {dim!r}, only {dims}")
        stride = prod(sizes[d] for d in dims[dims.index(dim) + 1 :]) if word == POSITION else 1
        shape = tuple(ranges[d].size if d == dim else 1 for d in dims)
        along = core.registers(shape, "i64")
        core.iota(along, ranges[dim] * stride, axis=dims.index(dim))
        if found is None:
            found = along
            continue
        both = core.registers(_broadcast([found, along]), "i64")
        core.add(both, found, along)
        found = both
    assert found is not None, "a tile has dimensions"
    return found


def run(
    core: Core,
    chain: Chain,
    values: Mapping[str, Source],
    results: Mapping[str, Tile],
    dtype: str,
) -> None:
    """Issues the chain: `values` are what it reads, `results` the tiles of what it makes.

    Values in between live in registers of format `dtype`, each as long as it is needed.
    """
    known: dict[str, Source] = dict(values)
    pool = _Registers(core, dtype)
    dies: dict[str, int] = {}
    for number, line in enumerate(chain.lines):
        sources = [_value(known, word) for word in line.sources]
        numbers = [s for s in sources if isinstance(s, float | int)]
        final = line.target in results and chain.is_final(number)
        if len(numbers) == len(sources) and not final:
            known[line.target] = float(INSTRUCTIONS[line.instruction].meaning(*numbers))
            continue
        for name in {s for s in line.sources if isinstance(s, str) and dies.get(s) == number}:
            pool.give_back(known[name])
        tiles = [s for s in sources if isinstance(s, Tile)]
        made = _broadcast(tiles) if tiles else results[line.target].shape if final else (1,)
        if final and chain.last_use(number) == number and made == results[line.target].shape:
            target = results[line.target]
        else:
            target = pool.take(made)
            dies[line.target] = len(chain.lines) if final else chain.last_use(number)
        getattr(core, line.instruction)(target, *sources)
        known[line.target] = target
    for name, result in results.items():
        if known.get(name) is not result:
            core.cast(result, _value(known, name))


class _Registers:
    """Register tiles for values in between, used again when a value is no longer needed."""

    def __init__(self, core: Core, dtype: str) -> None:
        self.core, self.dtype = core, dtype
        self.free: list[Tile] = []

    def take(self, shape: tuple[int, ...]) -> Tile:
        for tile in self.free:
            if tile.shape == shape:
                self.free.remove(tile)
                return tile
        return self.core.registers(shape, self.dtype)

    def give_back(self, value: Source) -> None:
        if isinstance(value, Tile):
            self.free.append(value)


def _value(known: Mapping[str, Source], word: Word) -> Source:
    if isinstance(word, float):
        return word
    if word not in known:
        raise KernelMistake(f"the chain reads {word!r}, which is no tensor, no option and no value "
                            f"made above; known are {', '.join(known)}")  # fmt: skip
    return known[word]


def _broadcast(tiles: Sequence[Tile]) -> tuple[int, ...]:
    return tuple(max(sizes) for sizes in zip(*(t.shape for t in tiles), strict=True))
