"""The tables of a centre file, as a user writes them; `site.py` gives them their meaning."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from suiren.hw.chipfile import Given

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
#: One degree, or several of which the best is taken.
Degrees = Count | Annotated[list[Count], Field(min_length=1)]


class MachinesTable(BaseModel):
    """`[machines]`: what is bought."""

    model_config = _STRICT
    name: str
    """A node, a card in its usual box, or a file that describes one."""
    nodes: Count | None = None
    cards: Count | None = None
    """Instead of `nodes`; the last node is filled up."""
    nodes_per_rack: Count = 4
    rack_limit_w: Given | None = None
    host_w: Given | None = None
    """A node without its cards while it trains."""
    host_peak_w: Given | None = None


class NetworkTable(BaseModel):
    """`[network]`: the fabric between the nodes."""

    model_config = _STRICT
    nics: Count | None = None
    nic_bytes_per_s: Given | None = None
    fabric: Literal["fat-tree", "rail-optimised", "dragonfly"] = "fat-tree"
    oversubscription: Annotated[float, Field(ge=1)] = 1.0
    switch_ports: Annotated[int, Field(ge=2)] = 64
    switch_w: Given | None = None
    optic_w: Given | None = None


class PowerTable(BaseModel):
    """`[power]`: what the site gives and takes."""

    model_config = _STRICT
    pue: Given | None = None
    cooling: Literal["average", "air", "free", "liquid"] | None = None
    """Where no `pue` is given: what such cooling usually has."""
    site_limit_w: Given | None = None
    carbon_kg_per_kwh: Given | None = None
    water_l_per_kwh: Given | None = None
    """Litres evaporated for each kWh of the machines (WUE)."""


class FailuresTable(BaseModel):
    """`[failures]`: how often things fail and what is done then."""

    model_config = _STRICT
    rates: Literal["llama3", "rsc1", "bloom", "opt", "none"] | None = None
    factor: Positive = 1.0
    card_days: Given | None = None
    node_days: Given | None = None
    switch_days: Given | None = None
    """Mean days between failures of one card, node, switch; in place of `rates`."""
    spare_nodes: Whole = 0
    """Of the nodes bought, how many wait."""
    detect_s: Given | None = None
    restart_s: Given | None = None
    repair_h: Given | None = None


class StorageTable(BaseModel):
    """`[storage]`: where checkpoints go."""

    model_config = _STRICT
    bytes_per_s: Given | None = None
    kept_checkpoints: Count = 3
    data_bytes: NotNegative = 0.0
    """Training data beside the checkpoints."""
    background: bool = False
    """Training goes on while a checkpoint is written."""
    power_w: Given | None = None


class PricesTable(BaseModel):
    """`[prices]`: all in `currency`; what is not given is told, never invented."""

    model_config = _STRICT
    card: NotNegative | None = None
    host: NotNegative | None = None
    """A node without its cards."""
    node: NotNegative | None = None
    """A node with its cards, in place of `card` and `host`."""
    switch: NotNegative | None = None
    optic: NotNegative | None = None
    rack: NotNegative | None = None
    building_per_kw: NotNegative | None = None
    """Building, power supply and cooling for each kW at the meter."""
    storage_per_tb: NotNegative | None = None
    electricity_per_kwh: NotNegative | None = None
    staff_per_year: NotNegative | None = None
    maintenance_per_cent: Annotated[float, Field(ge=0, le=100)] | None = None
    """Of the machines' price, a year."""
    years: Positive = 5.0
    """Until the machines are written off."""
    building_years: Positive | None = None
    discount_per_cent: Annotated[float, Field(ge=0, lt=100)] = 0.0


class LayoutTable(BaseModel):
    """`layout = {…}` of a job; a list is tried through, what is left out is searched."""

    model_config = _STRICT
    tp: Degrees | None = None
    pp: Degrees | None = None
    vpp: Degrees = 1
    cp: Degrees = 1
    ep: Degrees = 1
    dp: Degrees | None = None
    micro_batch: Degrees | None = None
    recompute: Literal["none", "selective", "full"] | None = None
    zero: Annotated[int, Field(ge=0, le=3)] = 1


class JobTable(BaseModel):
    """`[[job]]`: one training run."""

    model_config = _STRICT
    name: str | None = None
    model: str | None = None
    seq: Count | None = None
    tokens: Positive | None = None
    samples: Positive | None = None
    steps: Positive | None = None
    global_batch: Count | None = None
    """Sequences of a step."""
    precision: Literal["fp32", "tf32", "fp16", "bf16", "fp8"] = "bf16"
    framework: str = "megatron-core"
    layout: LayoutTable = LayoutTable()
    step_s: Positive | None = None
    """Of a step measured or simulated elsewhere, in place of `model`."""
    step_cards: Count | None = None
    card_w: Positive | None = None
    checkpoint_bytes: Positive | None = None


class GoalTable(BaseModel):
    """`[goal]`: what the centre must reach."""

    model_config = _STRICT
    days: Positive | None = None
    power_w: Positive | None = None
    """At the meter, cooling included; cards are capped to hold it."""
    budget: Positive | None = None
    """All costs over the years."""
    capital: Positive | None = None


class CentreTable(BaseModel):
    """A whole centre file."""

    model_config = _STRICT
    title: str | None = None
    note: str = ""
    """Shown with the answer, as where prices come from."""
    currency: Annotated[str, Field(min_length=1, max_length=8)] = "USD"
    use_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the years in which there is work."""
    machines: MachinesTable
    network: NetworkTable = NetworkTable()
    power: PowerTable = PowerTable()
    failures: FailuresTable = FailuresTable()
    storage: StorageTable = StorageTable()
    prices: PricesTable = PricesTable()
    job: Annotated[list[JobTable], Field(min_length=1)]
    goal: GoalTable | None = None
