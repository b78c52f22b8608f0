"""One training step of every architecture that transformers can build, on the card and the host.

Every model starts from random weights, shrunk to a few layers; nothing is downloaded.

    python benchmarks/architectures.py [--only bert gpt2 …] [--json rows.json]
    python benchmarks/architectures.py --resume --page docs/models.md   # what the page lacks
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import asdict
from functools import partial
from pathlib import Path

from zoo.step import Row


def _load_what_all_need() -> None:
    """Imports once what every trial would import again after its fork."""
    from transformers import GPT2LMHeadModel, LlavaForConditionalGeneration  # noqa: F401
    from transformers.loss import loss_utils  # noqa: F401

    import suiren.report.answer
    import suiren.torch.session
    import suiren.torch.transfer  # noqa: F401


def _rows_kept(rows: Path | None, table: Path | None) -> list[Row]:
    """Those of the rows' file, and those of the page that the file does not hold."""
    from zoo.table import rows_in

    kept = rows_in(table.read_text()) if table and table.exists() else []
    if rows and rows.exists():
        own = [Row(**row) for row in json.loads(rows.read_text())]
        names = {row.name for row in own}
        kept = [*own, *(row for row in kept if row.name not in names)]
    return kept


def main() -> None:
    """Prints a line for each architecture and a summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--on", default="t21")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--timeout-s", type=float, default=120)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help="write the table of docs/models.md"
    )
    parser.add_argument("--resume", action="store_true",
                        help="keep the rows of both FILEs; --only tries its own again")  # fmt: skip
    options = parser.parse_args()

    import torch
    import transformers
    from zoo.classes import architectures
    from zoo.pool import rows_of
    from zoo.table import NOT_RUN, page
    from zoo.trial import tried

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    known = architectures()
    names = options.only or known
    unknown = sorted(set(names) - set(known))
    if options.resume and not (options.json or options.page):
        parser.error("--resume keeps the rows of a file: name it with --json FILE or --page FILE")
    if unknown:
        parser.error(f"no AutoModel class of this transformers builds {', '.join(unknown)}")
    work = partial(tried, card_name=options.on)
    rows = _rows_kept(options.json, options.page) if options.resume else []
    again = {row.name for row in rows if row.outcome != "equal"} & set(options.only or [])
    rows = [row for row in rows if row.name not in again]
    names = [name for name in names if name not in {row.name for row in rows}]
    if names:
        _load_what_all_need()
    for row in rows_of(names, work, jobs=options.jobs, timeout_s=options.timeout_s):
        rows.append(row)
        print(f"{row.name:32} {row.outcome:10} {row.bf16_outcome:10} {row.class_name} {row.reason}",
              flush=True)  # fmt: skip
        if options.json:
            options.json.write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n")
    if options.page:
        ran = {row.name for row in rows}
        rows += [Row(name, reason=NOT_RUN) for name in known if name not in ran]
        versions = f"PyTorch {torch.__version__}, transformers {transformers.__version__}"
        options.page.write_text(page(rows, f"{options.on}, {versions}"))
    print(json.dumps(Counter(row.outcome for row in rows)))


if __name__ == "__main__":
    main()
