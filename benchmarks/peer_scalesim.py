"""Runs layers in SCALE-Sim: `PYTHON peer_scalesim.py < machine-and-layers.json`, one line each.

Runs under an interpreter that has SCALE-Sim; `peers.py` starts it.
"""

import contextlib
import io
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

CONFIG = """[general]
run_name = run
[architecture_presets]
ArrayHeight: {rows}
ArrayWidth: {cols}
IfmapSramSzkB: {third}
FilterSramSzkB: {third}
OfmapSramSzkB: {third}
IfmapOffset: 0
FilterOffset: 100000000
OfmapOffset: 200000000
Bandwidth: {words}
Dataflow: os
MemoryBanks: 1
ReadRequestBuffer: 512
WriteRequestBuffer: 512
[layout]
IfmapCustomLayout: False
IfmapSRAMBankBandwidth: {words}
IfmapSRAMBankNum: 1
IfmapSRAMBankPort: 2
FilterCustomLayout: False
FilterSRAMBankBandwidth: {words}
FilterSRAMBankNum: 1
FilterSRAMBankPort: 2
[sparsity]
SparsitySupport: false
[run_presets]
InterfaceBandwidth: USER
UseRamulatorTrace: False
"""


def run(machine: dict, layer: dict, folder: Path) -> dict:
    """Cycles and seconds of one layer; traces are not written."""
    from scalesim.scale_sim import scalesim

    config, topology, layout = (folder / n for n in ("run.cfg", "gemm.csv", "layout.csv"))
    third = machine["scratchpad_bytes"] // 3 // 1024
    words = machine["bytes_per_cycle"] // 3
    config.write_text(CONFIG.format(third=third, words=words, **machine))
    topology.write_text("Layer,M,N,K,\n{name},{m},{n},{k},\n".format(**layer))
    layout.write_text("Layer," + "x," * 20 + "\n" + layer["name"] + "," + "1," * 20 + "\n")
    start = time.perf_counter()
    files = {"config": str(config), "topology": str(topology), "layout": str(layout)}
    with contextlib.redirect_stdout(io.StringIO()):
        found = scalesim(save_disk_space=True, verbose=False, input_type_gemm=True, **files)
        found.run_scale(top_path=str(folder / "out"))
    seconds = time.perf_counter() - start
    report = found.runner.single_layer_sim_object_list[0].get_compute_report_items()
    return {"cycles": int(report[1]), "seconds": seconds,
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}  # fmt: skip


def main() -> None:
    """Prints a line of JSON for each layer."""
    given = json.load(sys.stdin)
    for layer in given["layers"]:
        with tempfile.TemporaryDirectory() as folder:
            found = run(given["machine"], layer, Path(folder))
        print(json.dumps({"name": layer["name"], **found}), flush=True)


if __name__ == "__main__":
    main()
