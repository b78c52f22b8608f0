"""Confirms findings by a run on a virtual card, and adds those that only a run can show."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suiren.port.finding import Finding, Span
from suiren.port.kinds import TIES
from suiren.port.scan import Scan, files_under


class BadCommandError(Exception):
    """A command that is no Python script; the text says what would do."""


@dataclass(frozen=True, slots=True)
class Command:
    """A script with its arguments, and the folder to run it in."""

    script: Path
    arguments: tuple[str, ...]
    folder: Path


@dataclass
class Confirmation:
    """How the run ended."""

    exit_code: int
    error: str = ""
    """`path:line: message` of the error that ended it."""
    tail: str = ""
    """The last lines that the run wrote."""
    seen: dict[str, int] = field(default_factory=dict)
    """How many findings ran, were not reached, raised."""


def command_of(text: str | tuple[str, ...], root: Path) -> Command:
    """The script of `python train.py --steps 2`; raises BadCommandError for what is none."""
    words = shlex.split(text) if isinstance(text, str) else list(text)
    while words and (Path(words[0]).name.startswith("python") or words[0] == "-u"):
        words = words[1:]
    shown = text if isinstance(text, str) else " ".join(text)
    if not words or not words[0].endswith(".py"):
        raise BadCommandError(
            f'{shown!r} runs no Python script; give a script and its arguments, as in '
            '--run "python train.py --steps 2"'
        )
    folder = root if root.is_dir() else root.parent
    for place in (Path(), folder):
        script = place / words[0]
        if script.is_file():
            return Command(script.resolve(), tuple(words[1:]), place.resolve())
    raise BadCommandError(
        f"there is no script {words[0]!r}, neither in {Path.cwd()} nor in {folder}"
    )


def confirm(
    found: Scan, command: Command, card: str, max_steps: int | None = None
) -> Confirmation:
    """Runs the command and writes into the findings what it showed."""
    folder = (found.root if found.root.is_dir() else found.root.parent).resolve()
    if found.root.is_dir():
        files = [str(p.resolve()) for p in files_under(found.root) if p.suffix == ".py"]
    else:
        files = [str(command.script), str(found.root.resolve())]
    with tempfile.TemporaryDirectory() as temporary:
        plan, out = Path(temporary) / "plan.json", Path(temporary) / "seen.json"
        asked = {
            "files": files, "script": str(command.script), "arguments": command.arguments,
            "card": card, "max_steps": max_steps, "out": str(out),
        }  # fmt: skip
        plan.write_text(json.dumps(asked))
        ran = subprocess.run(
            [sys.executable, "-m", "suiren.port.watched", str(plan)],
            cwd=command.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        seen = json.loads(out.read_text()) if out.exists() else {}
    tail = "\n".join((ran.stderr or ran.stdout).strip().splitlines()[-12:])
    return _put_in(found, seen, folder, Confirmation(ran.returncode, tail=tail))


def _put_in(
    found: Scan, seen: dict[str, Any], folder: Path, result: Confirmation
) -> Confirmation:
    lines = {Path(name): set(numbers) for name, numbers in seen.get("lines", {}).items()}
    error = seen.get("error")
    if error:
        result.error = f"{_shown(Path(error[0]), folder)}:{error[1]}: {error[2]}"
    ops: dict[tuple[Path, int, str], list[str]] = defaultdict(list)
    for name, line, tie, op, count in seen.get("ops", []):
        ops[(_shown(Path(name), folder), line, tie)].append(f"{op} × {count}")
    findings = []
    for finding in found.findings:
        text = _of(finding, lines.get(folder / finding.path), error, folder)
        span, place = finding.span, range(finding.span.line, finding.span.end_line + 1)
        wide = [o for n in place for o in ops.pop((finding.path, n, finding.tie.name), [])]
        if wide and span:
            text = f"seen running: {', '.join(wide)}"
        findings.append(finding.with_confirmation(text))
    findings.extend(_only_in_the_run(ops, folder))
    found.findings = sorted(findings, key=lambda f: (str(f.path), f.cell or 0, f.span.line))
    for finding in found.ties:
        word = finding.confirmed.partition(":")[0]
        if word:
            result.seen[word] = result.seen.get(word, 0) + 1
    return result


def _shown(path: Path, folder: Path) -> Path:
    return path.relative_to(folder) if path.is_relative_to(folder) else path


def _of(finding: Finding, ran: set[int] | None, error: Any, folder: Path) -> str:
    """What the run showed of a static finding; empty for files that no run reaches by line."""
    if finding.path.suffix != ".py":
        return ""
    inside = range(finding.span.line, finding.span.end_line + 1)
    if error and folder / finding.path == Path(error[0]) and error[1] in inside:
        return f"raised: {error[2]}"
    return "seen running" if ran and any(n in ran for n in inside) else "not reached"


def _only_in_the_run(
    ops: dict[tuple[Path, int, str], list[str]], folder: Path
) -> list[Finding]:
    found = []
    for (path, line, tie), what in sorted(ops.items()):
        lines = (folder / path).read_text(errors="replace").split("\n")
        source = lines[line - 1].strip() if line <= len(lines) else ""
        text = f"seen running: {', '.join(what)}"
        found.append(Finding(TIES[tie], path, Span(line, 0, line, 0), source, confirmed=text))
    return found
