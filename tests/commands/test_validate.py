"""`suiren validate`: every row is told, and a bad file is one sentence and exit code 2."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
from pathlib import Path

import pytest
from warm_python import python

DATA = Path(__file__).parents[2] / "data" / "measured"
HEAD = "id,source,hardware,op,shape,dtype,measured_metric,unit,measured_value,notes"


def ran(*arguments: object) -> subprocess.CompletedProcess[str]:
    return python("-m", "suiren.cli", "validate", *arguments)


def table(folder: Path, *rows: str) -> Path:
    file = folder / "rows.csv"
    file.write_text("\n".join([HEAD, *rows]) + "\n")
    return file


GEMM = 'r1,here,NVIDIA H100 80GB HBM3,gemm,"M=512,N=1024,K=1024",bfloat16,latency,ms,0.01,'
ODD = 'r2,here,NVIDIA H100 80GB HBM3,fft,"N=1024",fp32,latency,ms,0.01,'
NOBODY = 'r3,here,Abacus 3000,gemm,"M=512,N=1024,K=1024",bfloat16,latency,ms,0.01,'
UNSEEN = 'r4,here,NVIDIA B200,gemm,"M=512,N=1024,K=1024",bfloat16,latency,ms,,'


def test_every_row_gets_a_line_with_a_prediction_or_a_reason(tmp_path: Path) -> None:
    done = ran(table(tmp_path, GEMM, ODD, NOBODY, UNSEEN), "--out", tmp_path / "out.csv",
               "--json", tmp_path / "scores.json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert list(rows[0]) == ["id", "hardware", "measured_s", "predicted_s", "status"]
    assert [r["id"] for r in rows] == ["r1", "r2", "r3", "r4"]
    assert rows[0]["status"] == "predicted"
    assert 1e-6 < float(rows[0]["predicted_s"]) < 1e-4
    assert "fft" in rows[1]["status"]
    assert "Abacus 3000" in rows[2]["status"]
    assert rows[3]["status"].startswith("predicted, but what the row states is no time")
    assert rows[3]["measured_s"] == ""
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert (scores["rows"], scores["predicted"]) == (4, 1)
    assert "4 rows" in done.stdout


def test_a_zipped_table_a_split_and_measured_kernels() -> None:
    done = ran(DATA / "kernel_llmcompass.csv.gz", "--split", "check", "--kernels", "measured")
    assert done.returncode == 0, done.stderr
    assert "the model alone" in done.stdout
    assert "corrected by the nearest measured rows" in done.stdout
    assert "MAPE" in done.stdout


def test_another_chip_may_be_asked_for(tmp_path: Path) -> None:
    file = table(tmp_path, GEMM)
    seconds = []
    for card in ("t21", "h200"):
        assert ran(file, "--on", card, "--out", tmp_path / "o.csv").returncode == 0
        seconds.append(float(next(csv.DictReader((tmp_path / "o.csv").open()))["predicted_s"]))
    assert seconds[0] > seconds[1]


@pytest.mark.parametrize(("content", "told"), [
    (b"a,b,c\n1,2,3\n", "columns id, hardware, op, shape, measured_value are missing"),
    (gzip.compress(b"id,op\n", mtime=0)[:12], "cannot be read as a table"),
    ((HEAD + "\n").encode(), "there is no row"),
])  # fmt: skip
def test_a_bad_file_is_one_sentence(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_bytes(content)
    done = ran(file)
    assert done.returncode == 2
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [("missing.csv",), (DATA / "t20_gaps.csv", "--on", "h1oo")])
def test_a_wrong_name_is_one_sentence(arguments: tuple[object, ...]) -> None:
    done = ran(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_row_that_states_memory_is_told_beside_its_time(tmp_path: Path) -> None:
    with gzip.open(DATA / "train_megatron_lm.csv.gz", "rt") as lines:
        head, *rows = lines.read().splitlines()
    (tmp_path / "rows.csv").write_text(
        "\n".join([head, *(r for r in rows if r.startswith(("mg-0019,", "mg-0020,")))]) + "\n"
    )
    done = ran(tmp_path / "rows.csv", "--json", tmp_path / "scores.json")
    assert done.returncode == 0, done.stderr
    assert "memory, 2 rows state it, 2 predicted: MAPE" in done.stdout
    told = json.loads((tmp_path / "scores.json").read_text())["memory"]
    assert [row["id"] for row in told] == ["mg-0019", "mg-0020"]
    assert told[0]["measured_bytes"] == 59.25 * 2**30
    assert abs(told[0]["error"]) < 0.1
