"""What the book is built from besides `docs/`: pages made from the code, and links out of it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from posixpath import normpath
from posixpath import relpath as relative
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from mkdocs.structure.files import File, Files
from pages import MADE, ROOT, page

_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)]*)?\)")
#: What stands behind the language of a block: for the tests a mark or a file's name.
_NAMED = re.compile(r"^```(\w+) file=(\S+)$", re.MULTILINE)
_MARKED = re.compile(r"^```(\w+) slow$", re.MULTILINE)
#: Files of the repository that are pages of the book.
PLACES = {"README.md": "index.md", "examples/README.md": "reference/examples.md",
          "examples/industries/README.md": "reference/industries.md"}  # fmt: skip


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that are made."""
    for path in MADE:
        files.append(File.generated(config, path, content=page(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links to files outside the book become their names; those to its pages lead there."""
    here = page.file.src_uri
    source = next((s for s, p in PLACES.items() if p == here), f"docs/{here}")

    def place(match: re.Match[str]) -> str:
        mark, text, target, anchor = match[1], match[2], match[3], match[4] or ""
        if "://" in target:
            return match[0]
        path = normpath(f"{Path(source).parent.as_posix()}/{target}")
        inside = PLACES.get(path) or (path[5:] if path.startswith("docs/") else None)
        if inside is not None and not inside.startswith("docs"):
            return f"{mark}[{text}]({relative(inside, Path(here).parent.as_posix())}{anchor})"
        return f"{text} (`{path}`)" if (ROOT / path).exists() else match[0]

    shown = _NAMED.sub(r'```\1 title="\2"', _MARKED.sub(r"```\1", markdown))
    return _LINK.sub(place, shown)
