"""A centre file: every mistake is one sentence that names the thing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from described import centre, text

from suiren.centre.build import centre_of, load_centre
from suiren.centre.file import BadCentreFile
from suiren.centre.study import study
from suiren.centre.training import BadJob

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "centres").glob("*.toml"))


@pytest.mark.parametrize(("file", "sentence"), [
    (text(machines="nods = 3"), "machines.nods is no field of a centre file; near it: nodes"),
    (text(machines=""), "[machines] needs either nodes or cards: how many are bought"),
    (text(machines="nodes = 0"), "machines.nodes is 0; it must be greater than or equal to 1"),
    (text(machines="nodes = 16.5"), "machines.nodes is 16.5; it must be a valid integer"),
    (text(power="pue = 0.9"), "power.pue is 0.9; it must be at least 1"),
    (text(power='pue = 1.2\ncooling = "air"'), "[power] needs pue or cooling, not both"),
    (text(power='cooling = "snow"'), "power.cooling is 'snow'; it must be 'average', 'air', 'free'"
     " or 'liquid'"),
    (text(power="site_limit_w = 0"), "power.site_limit_w is 0; it must be above 0"),
    (text(failures='rates = "opt"\nnode_days = 10'), "[failures] gives rates and node_days; one of "
     "both says how often things fail"),
    (text(failures="spare_nodes = 16"), "[failures] spare_nodes is 16 of 16 nodes bought; at least "
     "one must be left to train"),
    (text(prices="[prices]\nnode = 1.0\ncard = 1.0"), "[prices] node is the price with its cards; "
     "give it or card and host, not both"),
    (text(prices="[prices]\nnode = -1"), "prices.node is -1; it must be greater than or equal to"
     " 0"),
    (text(job="[[job]]\nmodel = 'llama3-8b'\ntokens = 1e9"), "[[job]] 1: global_batch is missing: "
     "sequences of a step"),
    (text(job="[[job]]\nmodel = 'llama3-8b'\nglobal_batch = 8"), "[[job]] 1: needs one of tokens, "
     "samples and steps: how much is trained"),
    (text(job="[[job]]\nsteps = 1.0"), "[[job]] 1: needs either model, or step_s with step_cards "
     "and card_w"),
    (text(job="[[job]]\nsteps = 1\nstep_s = 1"), "[[job]] 1: step_cards is missing beside step_s; "
     "[[job]] 1: card_w is missing beside step_s"),
    ("title = ", "it is not TOML: Invalid value (at end of document)"),
    ("title = 'x'", "machines is missing; job is missing"),
])  # fmt: skip
def test_a_mistake_is_one_sentence(file: str, sentence: str) -> None:
    with pytest.raises(BadCentreFile) as told:
        centre_of(file, "mine.toml")
    assert str(told.value) == f"mine.toml: {sentence}"


def test_unknown_machines_are_told_with_near_names() -> None:
    with pytest.raises(BadCentreFile, match=r"\[machines\] name: no cluster.*'t21y9'.*t21x8"):
        centre_of(text().replace("t21x8", "t21y9"))


@pytest.mark.parametrize(("line", "sentence"), [
    ("model = 'gpt5'\nsteps = 1\nglobal_batch = 1", r"\[\[job\]\] model: no bundled model.*gpt5"),
    ("model = 'gpt3-125m'\nsteps = 1\nglobal_batch = 1\nframework = 'x'",
     r"\[\[job\]\] framework: none is called 'x'; known are .*megatron-core"),
])  # fmt: skip
def test_jobs_that_name_what_does_not_exist(line: str, sentence: str) -> None:
    with pytest.raises(BadJob, match=sentence):
        study(centre(job=f"[[job]]\n{line}"))


@pytest.mark.parametrize(("line", "sentence"), [
    ("model = 'gpt3-175b'\nlayout = {tp = 8, pp = 12}",
     r"does not fit: tp 8 pp 12 dp 1 needs [\d.]+ GiB of 32 GiB a card, [\d.]+ GiB too much"),
    ("model = 'gpt3-1.3b'\nlayout = {tp = 3, pp = 1}", "16 heads cannot be split over tp 3"),
    ("model = 'gpt3-1.3b'\nlayout = {tp = 8, pp = 24}", "needs 192 ranks, the cluster has 112"),
])  # fmt: skip
def test_a_job_that_cannot_run_says_why(line: str, sentence: str) -> None:
    found = study(centre(job=f"[[job]]\n{line}\nsteps = 10\nglobal_batch = 64"))
    assert not found.works
    problem = found.first.trained.problem
    assert re.search(sentence, problem), problem


def test_a_limit_below_hosts_and_network_leaves_cards_nothing() -> None:
    found = study(centre(power="pue = 1.2\nsite_limit_w = 10e3"))
    assert found.first.trained.problem == ("the site's power limit leaves cards nothing beside "
                                           "hosts, network and cooling")  # fmt: skip
    assert found.days == float("inf")


def test_what_the_file_leaves_out_is_filled_with_facts_and_told() -> None:
    found = centre(network="switch_ports = 64", power="", failures="")
    facts = dict(found.facts())
    assert facts["pue"].kind == "published" and "Uptime" in facts["pue"].source
    assert facts["host_w"].kind == facts["switch_w"].kind == "assumed"
    given = centre(power="pue = {value = 1.3, source = 'our meter 2026', kind = 'published'}")
    assert dict(given.facts())["pue"].source == "our meter 2026"
    assert dict(centre().facts())["pue"].source == "given in small.toml"


def test_cards_instead_of_nodes_fill_the_last_node() -> None:
    assert centre(machines="cards = 100").nodes == 13


def test_own_failure_times_take_the_place_of_published_rates() -> None:
    lines = "node_days = 1e9\nswitch_days = 2\nspare_nodes = 1"
    month = study(centre(failures=lines), histories=2).first.month
    assert month is not None
    assert {part for run in month.runs for part in run.failures} == {"switch"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples_say_that_their_prices_are_examples(path: Path) -> None:
    found = load_centre(path)
    assert "example inputs" in found.note and found.prices.currency in found.note
    assert "EXAMPLE" in path.read_text(encoding="utf-8")


def test_there_are_examples_for_t21_t20_and_others() -> None:
    cards = {load_centre(path).card.name for path in EXAMPLES}
    assert {"t21", "t20"} < cards and len(cards) >= 4
