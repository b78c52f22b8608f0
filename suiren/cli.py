"""The command line: every command is a few lines around one function of a room."""

# ruff: noqa: E402 - Ctrl-C is taken care of before anything that takes time to load

from __future__ import annotations

from suiren import starting  # isort: skip

starting.begin()

import sys
from collections.abc import Sequence

import click

from suiren import __version__
from suiren.commands import (
    centre,
    chips,
    conformance,
    diff,
    goodput,
    kernel,
    numerics,
    plan,
    port,
    replay,
    run,
    runs,
    smi,
    step,
    topology,
    validate,
    view,
)

starting.end()

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, prog_name="suiren")
def suiren() -> None:
    """Suiren: run PyTorch training scripts on AI chips you do not own."""


suiren.add_command(run.run)
suiren.add_command(replay.replay)
suiren.add_command(chips.chips)
suiren.add_command(topology.topology)
suiren.add_command(kernel.kernel)
suiren.add_command(validate.validate)
suiren.add_command(conformance.conformance)
suiren.add_command(port.port)
suiren.add_command(numerics.numerics)
suiren.add_command(step.step)
suiren.add_command(goodput.goodput)
suiren.add_command(view.view)
suiren.add_command(centre.centre)
suiren.add_command(plan.plan)
suiren.add_command(runs.runs)
suiren.add_command(diff.diff)
suiren.add_command(smi.smi)
suiren.add_command(smi.exporter)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line; a user's mistake is one sentence and exit code 2."""
    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        code = suiren.main(args=given, prog_name="suiren", standalone_mode=False, obj=given)
    except click.ClickException as problem:
        problem.show()
        sys.exit(2)
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except (ImportError, SystemError) as problem:
        if starting.is_interrupt(problem):
            sys.exit(130)
        raise
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
