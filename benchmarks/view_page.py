"""The page with a step of 100,000 ops: first paint, the timeline there, a frame while zooming.

python benchmarks/view_page.py [--ops 100000] [--rounds 5]

Once from a file, once from the local server over a history, in headless Chromium; a fresh browser
and a fresh server each round. Needs chromium and chromedriver.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median
from threading import Thread
from typing import Any

import numpy as np
from selenium import webdriver

from suiren.history.store import History
from suiren.hw.load import resolve_card
from suiren.report.answer import answer
from suiren.report.document import document
from suiren.trace.call import parse_call
from suiren.trace.program import EVENT, LIVE, Context, Kind, Program, Step
from suiren.view.filed import filed_html
from suiren.view.payload import drawn_of
from suiren.view.server import address_of, server_of
from suiren.view.shelf import Shelf

CALLS = (
    "aten::mm(self=bf16[2048,4096],mat2=bf16[4096,4096])->(bf16[2048,4096])",
    "aten::gelu(self=bf16[2048,4096])->(bf16[2048,4096])",
    "aten::add.Tensor(self=bf16[2048,4096],other=bf16[2048,4096],alpha=1)->(bf16[2048,4096])",
)
TENSORS = (3, 2, 3)
LAYERS, BYTES = 80, 2048 * 4096 * 2
#: Milliseconds from the start of loading until the view was drawn, and the first paint.
READY = """
const done = arguments[0], root = document.documentElement;
const wait = () => {
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  if (root.dataset.ready === "timeline" && paint) {
    requestAnimationFrame(() => done([paint.startTime, performance.now()]));
  } else setTimeout(wait, 2);
};
wait();
"""
#: Milliseconds of each of twenty frames, every one a zoom in the timeline.
FRAMES = """
const done = arguments[0], times = [];
const press = (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const next = (before) => requestAnimationFrame((now) => {
  if (before) times.push(now - before);
  if (times.length === 20) return done(times);
  press(times.length % 2 ? "ArrowUp" : "ArrowDown");
  next(now);
});
next(0);
"""  # noqa: E501


def program(num_ops: int) -> Program:
    """A step of so many ops over `LAYERS` layers, each freeing what the one before it made."""
    rows, storages = [], []
    for number in range(num_ops):
        call, context = number % 3, (number * LAYERS // num_ops) % LAYERS
        rows += [(Kind.ALLOC, number, context, 0, BYTES),
                 (Kind.OP, call, context, 0, len(storages))]  # fmt: skip
        storages += [number] * TENSORS[call]
        if number:
            rows.append((Kind.FREE, number - 1, context, 0, BYTES))
    rows.append((Kind.FREE, num_ops - 1, 0, 0, BYTES))
    step = Step(np.array(rows, EVENT), np.array(storages, np.int32), np.zeros(0, LIVE))
    contexts = [Context("forward", f"Net.layers.{n}.mlp") for n in range(LAYERS)]
    facts = {"script": "long.py", "outcome": "finished", "numerics": False}
    return Program([parse_call(c) for c in CALLS], contexts, [step], [0], facts=facts)


def chromium(profile: str) -> Any:
    """A fresh headless browser."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "no-first-run", "disable-sync",
                 "disable-background-networking", "disable-component-update",
                 "window-size=1280,800", f"user-data-dir={profile}"):  # fmt: skip
        options.add_argument(f"--{flag}")
    service = webdriver.ChromeService(str(shutil.which("chromedriver")))
    return webdriver.Chrome(options=options, service=service)


def measured(address: str) -> tuple[float, float, float]:
    """First paint, timeline there, median frame; milliseconds."""
    with tempfile.TemporaryDirectory() as profile:
        browser = chromium(profile)
        browser.set_script_timeout(60)
        browser.get(address)
        paint, ready = browser.execute_async_script(READY)
        frame = median(browser.execute_async_script(FRAMES))
        browser.quit()
    return paint, ready, frame


def main() -> None:
    """Prints a line of JSON for the file and one for the server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ops", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    ran = program(given.ops)
    told = answer(ran, resolve_card("t21"), advise=False)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "history.sqlite"
        start = time.process_time()
        parts = drawn_of(told)
        kept_s = time.process_time() - start
        History(store).add("run", "long", document(told), parts)
        start = time.process_time()
        file = Path(folder) / "page.html"
        file.write_text(filed_html(Shelf(["r1"], history=store)), encoding="utf-8")
        found = {"spans": len(told.spans), "file_bytes": file.stat().st_size,
                 "drawn_s": round(kept_s, 2),
                 "written_s": round(time.process_time() - start, 2)}  # fmt: skip
        print(json.dumps(found))
        for where in ("file", "server"):
            times = []
            for _ in range(given.rounds):
                address = file.as_uri()
                if where == "server":
                    server = server_of(Shelf(["r1"], history=store), 0)
                    Thread(target=server.serve_forever, daemon=True).start()
                    address = address_of(server)
                times.append(measured(address))
            paint, ready, frame = (sorted(column) for column in zip(*times, strict=True))
            print(json.dumps({"from": where, "first_paint_ms": [round(t) for t in paint],
                              "timeline_ms": [round(t) for t in ready],
                              "frame_ms": round(median(frame), 1)}))  # fmt: skip


if __name__ == "__main__":
    main()
