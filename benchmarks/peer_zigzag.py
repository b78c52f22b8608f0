"""Runs layers in ZigZag: `PYTHON peer_zigzag.py < machine-and-layers.json`, a line of JSON each.

Runs under an interpreter that has ZigZag; `peers.py` starts it.
"""

import contextlib
import io
import json
import logging
import resource
import sys
import tempfile
import time
from pathlib import Path

#: Bits of an operand, and of a sum.
BITS, SUM_BITS = 8, 32


def port(number: int, bits: int, *uses: str) -> dict:
    """A port that reads and writes, for uses such as `I1, tl`."""
    return {"name": f"rw_port_{number}", "type": "read_write", "bandwidth_min": BITS,
            "bandwidth_max": bits, "allocation": list(uses)}  # fmt: skip


def memory(size: int, operands: list, ports: list, served: list, latency: int = 1) -> dict:
    """A level of the memory hierarchy; energies are not asked for."""
    return {"size": size, "r_cost": 1.0, "w_cost": 1.0, "area": 0, "latency": latency,
            "operands": operands, "ports": ports, "served_dimensions": served}  # fmt: skip


def accelerator(machine: dict) -> dict:
    """Sums in the multipliers, one scratchpad, one memory."""
    rows, cols = machine["rows"], machine["cols"]
    sums = [port(1, SUM_BITS, "O, tl", "O, fl"), port(2, SUM_BITS, "O, fh", "O, th")]
    outside = machine["bytes_per_cycle"] * 8
    pads = [port(1, rows * BITS, "I1, tl"), port(2, cols * BITS, "I2, tl"),
            port(3, cols * SUM_BITS, "O, tl", "O, fl"),
            port(4, outside, "I1, fh", "I2, fh", "O, fh", "O, th")]  # fmt: skip
    uses = [f"{o}, {u}" for o, us in (("I1", ("fh", "tl")), ("I2", ("fh", "tl")),
                                      ("O", ("fh", "tl", "fl", "th"))) for u in us]  # fmt: skip
    pad = memory(machine["scratchpad_bytes"] * 8, ["I1", "I2", "O"], pads, ["D1", "D2"])
    pad["force_double_buffering"] = True
    return {
        "name": "array",
        "memories": {
            "sums": memory(SUM_BITS, ["O"], sums, []),
            "scratchpad": pad,
            "dram": memory(10**12, ["I1", "I2", "O"],
                           [port(1, outside, *uses)], ["D1", "D2"]),
        },
        "operational_array": {"input_precision": [BITS, BITS], "unit_energy": 1.0, "unit_area": 1.0,
                              "dimensions": ["D1", "D2"], "sizes": [rows, cols],
                              "systolic_dimensions": ["D1", "D2"]},
    }  # fmt: skip


def workload(layer: dict) -> list:
    """A product as ZigZag's loop nest."""
    return [{
        "id": 0, "name": layer["name"], "operator_type": "Gemm",
        "equation": "O[m][n]+=I[m][k]*W[k][n]", "dimension_relations": [],
        "loop_dims": ["M", "N", "K"], "loop_sizes": [layer["m"], layer["n"], layer["k"]],
        "operand_precision": {"I": BITS, "W": BITS, "O": SUM_BITS, "O_final": BITS},
        "operand_source": {"I": 0, "W": 0},
    }]  # fmt: skip


def run(machine: dict, layer: dict, folder: Path) -> dict:
    """Cycles and seconds of one layer: its best loop order is looked for."""
    from zigzag.api import get_hardware_performance_zigzag

    across = {"D1": [f"M, {machine['rows']}"], "D2": [f"N, {machine['cols']}"]}
    mapping = [{"name": "default", "spatial_mapping": across,
                "memory_operand_links": {"O": "O", "W": "I2", "I": "I1"}}]  # fmt: skip
    paths = {}
    # JSON is YAML
    files = {"array": accelerator(machine), "map": mapping, "work": workload(layer)}
    for name, found in files.items():
        paths[name] = folder / f"{name}.yaml"
        paths[name].write_text(json.dumps(found))
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        _, cycles, _ = get_hardware_performance_zigzag(
            str(paths["work"]), str(paths["array"]), str(paths["map"]), opt="latency",
            dump_folder=str(folder / "out"), loma_show_progress_bar=False)  # fmt: skip
    return {"cycles": int(cycles), "seconds": time.perf_counter() - start,
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}  # fmt: skip


def main() -> None:
    """Prints a line of JSON for each layer."""
    logging.disable(logging.CRITICAL)
    given = json.load(sys.stdin)
    for layer in given["layers"]:
        with tempfile.TemporaryDirectory() as folder:
            found = run(given["machine"], layer, Path(folder))
        print(json.dumps({"name": layer["name"], **found}), flush=True)


if __name__ == "__main__":
    main()
