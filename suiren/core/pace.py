"""How long one instruction keeps its engine on a card, in picoseconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from suiren.core.instruction import INSTRUCTIONS, network_steps
from suiren.core.loop import LOAD, MATRIX, SPECIAL, STORE, VECTOR, Duration
from suiren.core.program import Step
from suiren.core.tile import Tile
from suiren.dtype import PEAK_NAME, bits_of, itemsize_bytes, moved_bytes
from suiren.hw.held import Held
from suiren.hw.spec import Card
from suiren.units import PS_PER_S

#: When a chip lacks a format, it multiplies in this one.
FALLBACK = {"bf16": "fp32", "fp16": "fp32", "tf32": "fp32", "fp64": "fp32", "fp8": "bf16",
            "int8": "fp32", "fp32": "tf32", "fp4": "fp8"}  # fmt: skip
#: Depth of one matrix step for which `Pace.matrix_step_s` is told, bytes.
STEP_BYTES = 128
#: Instructions of the matrix engine.
PRODUCTS = frozenset(i.name for i in INSTRUCTIONS.values() if i.engine == "matrix")
#: Instructions that fold an axis.
FOLDS = frozenset(name for name in INSTRUCTIONS if name.startswith("row_"))
Key = tuple[object, ...]
_ENGINE = {"matrix": MATRIX, "vector": VECTOR, "special": SPECIAL}
#: The engine of every step that is no product; what is not named runs on the vector engine.
_RUNS_ON = {i.name: _ENGINE[i.engine] for i in INSTRUCTIONS.values()}
_RUNS_ON |= {"load": LOAD, "store": STORE}


def matrix_format(dtype: str, card: Card) -> str:
    """The peak format in which the card multiplies operands of a stored format."""
    name = PEAK_NAME.get(dtype, "fp32")
    seen = set()
    while card.peak_flop_per_s(name) == 0 and name not in seen:
        seen.add(name)
        name = FALLBACK.get(name, "fp32")
    return name if card.peak_flop_per_s(name) else card.formats()[0]


@dataclass(frozen=True)
class Engines:
    """The engines of one core of a card at a clock; `clock` is a share of the printed one."""

    card: Card
    clock: float = 1.0
    _amounts: dict[Key, tuple[float, float, float]] = field(default_factory=dict, repr=False)
    _durations: dict[tuple[Key, int], Duration] = field(default_factory=dict, repr=False)
    _products: dict[str, tuple[str, float]] = field(default_factory=dict, repr=False)

    @cached_property
    def matrix_hz(self) -> float:
        """Cycles of the matrix engine in a second."""
        return self.card.clock_hz * self.card.pace.sustained_clock * self.clock

    @cached_property
    def vector_hz(self) -> float:
        """Cycles of the vector engine in a second."""
        hz = self.card.vector_clock_hz or self.card.clock_hz
        return hz * self.card.pace.sustained_clock * self.clock

    def engine(self, step: Step) -> int:
        """The engine that runs a step: products go to the vector engine where it is the faster."""
        if step.name in PRODUCTS:
            return MATRIX if self.product_engine(_operand(step).dtype)[0] == "matrix" else VECTOR
        return _RUNS_ON.get(step.name, VECTOR)

    def product_engine(self, dtype: str) -> tuple[str, float]:
        """(engine, MACs of one core in a second) for operands of a stored format."""
        found = self._products.get(dtype)
        if found is None:
            found = self._products[dtype] = self._product_engine(dtype)
        return found

    def _product_engine(self, dtype: str) -> tuple[str, float]:
        card = self.card
        name = matrix_format(dtype, card)
        matrix = card.chip.matrix.get(name, 0.0) * self.matrix_hz
        vector = card.chip.vector.get(name, 0.0) * self.vector_hz
        rate = max(matrix, vector) * card.matrix_efficiency * _format_share(name, card)
        return ("matrix" if matrix >= vector else "vector"), rate

    def compute(self, step: Step, beside: int = 1, key: Key = ()) -> Duration:
        """Time of a compute step on its engine, for `beside` tiles of a core at once.

        `key` is `key_of(step)`, for who has it at hand.
        """
        known = (key or key_of(step), beside)
        found = self._durations.get(known)
        if found is None:
            found = self._durations[known] = self._compute(step, beside)
        return found

    def _compute(self, step: Step, beside: int) -> Duration:
        pace = self.card.pace
        latency = round(pace.instruction_s * PS_PER_S)
        if step.name in FOLDS:
            latency += round(pace.fold_s * PS_PER_S)
        if step.name not in PRODUCTS:
            return Duration(round(self._lane_s(step) * beside * PS_PER_S), latency)
        x = _operand(step)
        if self.product_engine(x.dtype)[0] == "vector":
            busy_s = self.product_s(step) * beside + pace.vector_step_s
            return Duration(round(busy_s * PS_PER_S), latency)
        k = x.shape[0] if step.attributes.get("transpose_x") else x.shape[1]
        least_s = step_s(x.dtype, self.card) * k
        busy_s = max(self.product_s(step) * beside, least_s)
        if not INSTRUCTIONS[step.name].accumulates:
            busy_s += pace.matrix_start_s
        return Duration(round(busy_s * PS_PER_S), latency)

    def product_s(self, step: Step, key: Key = ()) -> float:
        """Seconds of a product at the engine's rate, padded to its grain."""
        return self.amounts(step, key)[0] / self.product_engine(_operand(step).dtype)[1]

    def amounts(self, step: Step, key: Key = ()) -> tuple[float, float, float]:
        """(multiply-accumulates, lane operations, special results) of one execution."""
        known = key or key_of(step)
        found = self._amounts.get(known)
        if found is None:
            found = self._amounts[known] = self._amount(step)
        return found

    def _amount(self, step: Step) -> tuple[float, float, float]:
        if step.view is not None:
            return 0.0, 0.0, 0.0
        if step.name in PRODUCTS:
            x = _operand(step)
            m, n = step.tiles[0].shape
            k = x.shape[0] if step.attributes.get("transpose_x") else x.shape[1]
            engine, _ = self.product_engine(x.dtype)
            grain = self.card.chip.tile_mnk if engine == "matrix" else (1, 1, 1)
            sizes = step.inside if step.inside and "padding" in self.card.chip.skips else (m, n, k)
            m, n, k = (-(-size // g) * g for size, g in zip(sizes, grain, strict=True))
            return float(m * n * k), 0.0, 0.0
        instruction = INSTRUCTIONS.get(step.name)
        numel = max([step.tiles[0].numel, *(s.numel for s in step.sources if isinstance(s, Tile))])
        lanes = instruction.lanes if instruction else 1.0
        special = instruction.special if instruction else 0.0
        if instruction is not None and instruction.log_factor:
            axis = step.attributes.get("axis", 1)
            lanes *= network_steps(step.tiles[0].shape[axis if isinstance(axis, int) else 1])
        return 0.0, numel * lanes, numel * special

    def _lane_s(self, step: Step) -> float:
        _, lanes, special = self.amounts(step)
        return self.lane_s(lanes, special, lane_format(step))

    def lane_s(self, lanes: float, special: float, dtype: str) -> float:
        """Seconds of so many lane operations and special results on one core."""
        width = vector_lanes(self.card, dtype) * self.card.pace.vector_efficiency
        unit = self.card.chip.special_per_cycle
        return lanes / (width * self.vector_hz) + special / (unit * self.vector_hz)


def step_s(dtype: str, card: Card) -> float:
    """What a matrix step takes at least for every position of its depth: `Pace.matrix_step_s`."""
    packed = bits_of(dtype) < 8
    each_s = card.pace.packed_step_s if packed else card.pace.matrix_step_s
    return float(each_s * moved_bytes(dtype) / STEP_BYTES)


def vector_lanes(card: Card, dtype: str) -> float:
    """Lanes of one core's vector engine for a stored format."""
    vector = card.chip.vector
    name = PEAK_NAME.get(dtype, "fp32")
    if name in vector:
        return float(vector[name])
    if name == "fp64" and "fp32" in vector:
        return vector["fp32"] / 16  # emulated with pairs of floats
    return float(vector.get("fp32", card.chip.special_per_cycle))


def lane_format(step: Step) -> str:
    """The format in which lanes compute: the widest of a step's operands."""
    formats = [step.tiles[0].dtype, *(s.dtype for s in step.sources if isinstance(s, Tile))]
    return max(formats, key=itemsize_bytes)


def _operand(step: Step) -> Tile:
    x = step.sources[0]
    assert isinstance(x, Tile)
    return x


def key_of(step: Step) -> Key:
    """All of a step that its time depends on."""
    found: list[object] = [step.name, step.inside]
    for tile in (*step.tiles[:1], *step.sources):
        if isinstance(tile, Tile):
            found += (tile.shape, tile.dtype)
    options = step.attributes
    if options:
        found += (bool(options.get("transpose_x")), options.get("axis"))
    return tuple(found)


def _format_share(name: str, card: Card) -> float:
    """Narrow formats sustain less of their peak than 16 bits do."""
    return float(card.pace.narrow_share) if name in ("fp8", "fp4", "int8") else 1.0


def engines_of(card: Card, clock: float = 1.0) -> Engines:
    """The engines of a card at a clock, with what was already worked out."""
    return _engines_of(Held(card), clock)


@lru_cache(maxsize=512)
def _engines_of(held: Held, clock: float) -> Engines:
    return Engines(held.card, clock)
