"""The form of a chip file: its tables, its fields, and what is wrong with one in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from suiren.hw.bounds import BOUNDS
from suiren.hw.fact import KINDS, Kind
from suiren.hw.spec import PEAK_FORMATS


class BadChipFile(ValueError):  # noqa: N818 - reads as what it is
    """A chip file that cannot be used; `faults` holds one sentence for each reason."""

    def __init__(self, path: str, faults: Sequence[str]) -> None:
        self.path = path
        self.faults = list(faults)
        super().__init__(f"{path}: " + "; ".join(self.faults))


class Number(BaseModel):
    """A number of a chip file: plain, or with the source and the kind of a fact."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    value: float
    source: str = ""
    kind: Kind = "assumed"


def _as_number(given: object) -> object:
    return {"value": given} if not isinstance(given, (dict, Number)) else given


Given = Annotated[Number, BeforeValidator(_as_number)]
_Strict = ConfigDict(extra="forbid", strict=True)
_Tile = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=3, max_length=3)]
_Capability = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2, max_length=2)]


class ChipTable(BaseModel):
    """The table `[chip]`; every field is optional where the file is based on a card."""

    model_config = _Strict
    name: str | None = None
    title: str | None = None
    vendor: str | None = None
    family: str | None = None
    year: int | None = None
    core_name: str | None = None
    matrix: dict[str, Given] | None = None
    vector: dict[str, Given] | None = None
    special_per_cycle: Given | None = None
    tile_mnk: _Tile | None = None
    scratchpad_bytes: Given | None = None
    register_bytes: Given | None = None
    lacks: list[str] | None = None
    core_groups: Given | None = None
    process_nm: Given | None = None


class LinkTable(BaseModel):
    """The table `[link]`."""

    model_config = _Strict
    name: str = "link"
    ports: Given
    bytes_per_s: Given


class PaceTable(BaseModel):
    """The table `[pace]`; what it leaves out comes from the chip's family."""

    model_config = _Strict
    sustained_clock: Given | None = None
    matrix_step_s: Given | None = None
    vector_step_s: Given | None = None
    packed_step_s: Given | None = None
    narrow_share: Given | None = None
    matrix_start_s: Given | None = None
    fold_s: Given | None = None
    overlap_loss: Given | None = None
    vector_efficiency: Given | None = None
    stream_efficiency: Given | None = None
    instruction_s: Given | None = None
    copy_issue_s: Given | None = None
    pipeline_start_s: Given | None = None
    tile_start_s: Given | None = None
    l2_latency_s: Given | None = None
    l2_efficiency: Given | None = None
    l2_share: Given | None = None
    l2_softness: Given | None = None
    port_bytes_per_cycle: Given | None = None
    store_share: Given | None = None
    multicast: Given | None = None
    barrier_s: Given | None = None
    mac_j: Given | None = None
    vector_mac_j: Given | None = None
    voltage_floor: Given | None = None
    memory_byte_j: Given | None = None
    l2_byte_j: Given | None = None
    lane_j: Given | None = None


class CardFile(BaseModel):
    """A whole chip file; see `Card` for the meaning of the fields."""

    model_config = _Strict
    based_on: str | None = None
    chip: ChipTable | None = None
    name: str | None = None
    title: str | None = None
    year: int | None = None
    form: str | None = None
    use: str | None = None
    cores: Given | None = None
    clock_hz: Given | None = None
    vector_clock_hz: Given | None = None
    memory_bytes: Given | None = None
    memory_bytes_per_s: Given | None = None
    memory_type: str | None = None
    l2_bytes: Given | None = None
    l2_bytes_per_s: Given | None = None
    host_bytes_per_s: Given | None = None
    tdp_w: Given | None = None
    idle_w: Given | None = None
    launch_s: Given | None = None
    host_issue_s: Given | None = None
    matrix_efficiency: Given | None = None
    memory_efficiency: Given | None = None
    memory_latency_s: Given | None = None
    printed_flop_per_s: dict[str, Given] | None = None
    link: LinkTable | None = None
    pace: PaceTable | None = None
    aliases: list[str] | None = None
    capability: _Capability | None = None
    notes: list[str] | None = None


def read_tables(path: str, tables: Mapping[str, Any]) -> CardFile:
    """The file's tables as typed fields; raises `BadChipFile` naming every fault."""
    try:
        parsed = CardFile.model_validate(dict(tables))
    except ValidationError as error:
        faults = [_sentence(fault) for fault in error.errors()]
        sound = _without(tables, [fault["loc"] for fault in error.errors()])
        with suppress(ValidationError):
            faults += _range_faults(CardFile.model_validate(sound))
        raise BadChipFile(path, faults) from None
    if faults := _range_faults(parsed):
        raise BadChipFile(path, faults)
    return parsed


def _without(tables: Mapping[str, Any], places: Sequence[tuple[int | str, ...]]) -> dict[str, Any]:
    """The tables without the fields at `places`, so that the rest can be judged."""
    kept = {}
    for name, value in tables.items():
        inner = [place[1:] for place in places if place[0] == name]
        if isinstance(value, Mapping) and all(inner):
            kept[name] = _without(value, inner)
        elif not inner:
            kept[name] = value
    return kept


def numbers_of(table: BaseModel, prefix: str = "") -> dict[str, Number]:
    """Every number of a table by dotted name: `clock_hz`, `chip.matrix.bf16`."""
    found: dict[str, Number] = {}
    for name in type(table).model_fields:
        value = getattr(table, name)
        if isinstance(value, Number):
            found[prefix + name] = value
        elif isinstance(value, BaseModel):
            found |= numbers_of(value, f"{prefix}{name}.")
        elif isinstance(value, dict):
            found |= {f"{prefix}{name}.{key}": number for key, number in value.items()}
    return found


def _range_faults(parsed: CardFile) -> list[str]:
    """One sentence for each number out of its range or for a format nobody has."""
    faults = []
    for dotted, number in numbers_of(parsed).items():
        bound, peak_format = BOUNDS.get(dotted), ""
        if bound is None:
            owner, _, peak_format = dotted.rpartition(".")
            bound = BOUNDS[owner]
            if peak_format not in PEAK_FORMATS:
                faults.append(_unknown(peak_format, owner, PEAK_FORMATS))
                continue
        fault = bound.fault(dotted, number.value)
        if fault is not None:
            faults.append(fault)
    return faults


def _sentence(fault: Any) -> str:
    """What pydantic found, in the words of a chip file."""
    place = [str(part) for part in fault["loc"]]
    dotted, kind, given = ".".join(place), fault["type"], fault["input"]
    if kind == "extra_forbidden":
        return _unknown(place[-1], ".".join(place[:-1]), _fields_at(place[:-1]))
    if kind == "missing":
        return f"{dotted} is missing"
    if place[-1] == "kind":
        return f"{dotted} is {given!r}; it must be one of {', '.join(KINDS)}"
    if place[-1] == "value":
        name = ".".join(place[:-1])
        unit = BOUNDS[name].unit if name in BOUNDS else "the unit in its name"
        return f"{name} is {given!r}; it must be a number, in {unit}"
    if kind in ("too_short", "too_long"):
        wanted = fault["ctx"].get("min_length") or fault["ctx"].get("max_length")
        return f"{dotted} is {given!r}; it must hold {wanted} whole numbers"
    reason = fault["msg"].replace("Input should be", "it must be")
    return f"{dotted} is {given!r}; {reason[0].lower()}{reason[1:]}"


def _fields_at(place: list[str]) -> tuple[str, ...]:
    """Fields that the table at `place` may have."""
    tables: dict[str, type[BaseModel]] = {
        "": CardFile, "chip": ChipTable, "link": LinkTable, "pace": PaceTable,
    }  # fmt: skip
    return tuple(tables.get(".".join(place), Number).model_fields)


def _unknown(name: str, owner: str, valid: Sequence[str]) -> str:
    near = get_close_matches(name, valid, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(valid)}"
    where = f"[{owner}]" if owner else "the file"
    return f"{name} is no field of {where}; {hint}"
