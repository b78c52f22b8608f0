"""Where sources about Enflame's DTU cards disagree: every version, and the one in use."""

from __future__ import annotations

from suiren.hw.spec import Conflict

_ARCH_NOTES = "third-party architecture notes"

T10_POWER = Conflict(
    field="tdp_w",
    versions=("300 W (anandtech.com/show/16906)", "225 W (official gcu-exporter guide)"),
    used="225 W: the vendor's own power cap of this card",
)
T10_MEMORY = Conflict(
    field="memory_bytes",
    versions=("16 GB (official gcu-exporter guide)", f"32 GB and 8 TFLOP/s ({_ARCH_NOTES})"),
    used="16 GB: official, and equal to two HBM2 stacks",
)
T10_CLOCK = Conflict(
    field="clock_hz",
    versions=(
        "1150 MHz (official gcu-exporter guide; gives 18.8 and 75.4 TFLOP/s)",
        "1220 MHz (solved from the printed 20 and 80 TFLOP/s)",
    ),
    used="1220 MHz: the printed peak must come out; the sample shows a card at work",
)
DTU_1_CONFLICTS = (
    Conflict(
        field="l2_bytes_per_s",
        versions=(
            "10 TB/s of L0 caches (anandtech.com/show/16906)",
            "10 TB/s of a distributed shared memory (icloudnews.net/a/47000.html)",
        ),
        used="shared memory: the vendor's own text",
    ),
    Conflict(
        field="data movers",
        versions=(
            "40 data-transfer engines (anandtech.com/show/16906)",
            "40 host processing modules (nextplatform.com 2021-08-26)",
        ),
        used="data-transfer engines: two sources at the talk agree",
    ),
    Conflict(
        field="link",
        versions=(
            "cards join by cables alone (Leiphone, 2021)",
            "a bridge card ESL-B exists (official hardware manual, quoted)",
        ),
        used="both exist: a bridge joins four cards, cables join the fours",
    ),
)
T20_PEAK = Conflict(
    field="printed_flop_per_s",
    versions=(
        "40/160/320 T in FP32/TF32/INT8 (Leiphone and QbitAI at the launch, 2021)",
        "33.6/134.4/268.8 T (eefocus 498969, quoted)",
        "32/128/256 T (ZOMI course 2023; a user counts 8 cards as 1 PFLOP/s of FP16)",
    ),
    used="32/128/256: the card as shipped; the announcement is the card t20-launch",
)
T20_MEMORY = Conflict(
    field="memory_bytes",
    versions=(
        "up to 64 GB at 1.8 TB/s (Leiphone and QbitAI at the launch, 2021)",
        "32 GB at 1.6 TB/s (ZOMI course 2023; 32G in a user's expected listing)",
    ),
    used="32 GB at 1.6 TB/s: four 8 GB stacks of 409.6 GB/s, as the i20's two give 819",
)
T21_PEAK = Conflict(
    field="printed_flop_per_s",
    versions=("40/160/320 T (QbitAI, eefocus 498969)", "32/128/256 T (ZOMI course 2023)"),
    used="40/160/320: open, two sources against one; ZOMI prints T20's row for it",
)
SIXTEEN_BIT = Conflict(
    field="printed_flop_per_s.bf16",
    versions=(
        "160 T (third-party list citing eefocus 498969)",
        "128 T (ZOMI course 2023)",
        "no number (launch press)",
    ),
    used="equal to TF32, on which all sources agree",
)
T20_CORES = Conflict(
    field="cores",
    versions=(
        "24 (TopsGraph manual, EnflameTechnology/Ubridge)",
        f"32 ({_ARCH_NOTES})",
    ),
    used="24: official compiler documents",
)
LARE_CONFLICTS = (
    Conflict(
        field="link.bytes_per_s",
        versions=(
            "up 150 % on GCU-LARE 1.0 (Leiphone, 2021)",
            "300 GB/s, 1.5 times the 200 of GCU-LARE 1.0 (same text)",
        ),
        used="300 GB/s",
    ),
    Conflict(
        field="link.name",
        versions=(
            "Link All Round Engine (official)",
            "Local Area Reconfigurable … (third party)",
        ),
        used="Link All Round Engine",
    ),
    Conflict(
        field="dies in the package",
        versions=("9 (third-party report)", f"5 of logic and 4 of HBM ({_ARCH_NOTES})"),
        used="neither enters a time; only the total has a source",
    ),
)
I10_INT8 = Conflict(
    field="printed_flop_per_s.int8",
    versions=("470.4 T (ZOMI course 2023)", "70.4 T (4 MACs of 8 bits per kernel)"),
    used="70.4 T: 470.4 is read as a misprint",
)
S60_MEMORY = Conflict(
    field="memory_type",
    versions=(
        "GDDR6, 48 GB (official S60 manual, quoted)",
        f"HBM2e ({_ARCH_NOTES})",
    ),
    used="GDDR6: official",
)
L600_BANDWIDTH = Conflict(
    field="memory_bytes_per_s",
    versions=("2.8 TB/s for a box of 8", "28.8 TB/s for a box of 8, = 8 × 3.6"),
    used="3.6 TB/s per card: 28.8 is 8 × 3.6",
)
