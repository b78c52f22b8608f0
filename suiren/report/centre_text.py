"""Sentences about centres, made of their document, in one language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from suiren.report.centre_show import Show
from suiren.report.centre_words import Words

Centre = Mapping[str, Any]
#: Cards of these makers have hardly any public measurement.
_UNMEASURED = ("t10", "t11", "t20", "t21")


def verdict_head(centre: Centre, words: Words) -> str:
    """Yes, no, or that it runs."""
    goal = centre["goal"]
    if not goal["holds"]:
        return words("no")
    return words("yes" if goal["asked"] else "runs")


def checks(centre: Centre, show: Show, words: Words) -> Iterator[tuple[bool, str, str]]:
    """(holds, what was asked, how it stands) of every goal."""
    missing = centre["money"]["missing"]
    for check in centre["goal"]["checks"]:
        name = check["name"]
        if name == "runs":
            if not check["holds"]:
                yield False, words("check runs"), _problems(centre)
            continue
        shown = {"days": show.days, "power_w": show.power}.get(name, show.money)
        told = words("of asked", found=shown(check["found"]), asked=shown(check["asked"]))
        margin = check["margin_share"]
        if margin is not None:
            key = "left" if check["holds"] else "over"
            told += " · " + words(key, share=show.share(abs(margin)))
        if name in ("budget", "capital") and missing:
            told += " · " + words("unpriced", items=words.several(missing))
        yield check["holds"], words(f"check {name}"), told


def _problems(centre: Centre) -> str:
    return "; ".join(f"{job['name']}: {job['problem']}" for job in centre["jobs"]
                     if job["problem"])  # fmt: skip


def changes(centre: Centre, show: Show, words: Words) -> list[str]:
    """What would do, a sentence each."""
    found = []
    for change in centre["goal"]["changes"]:
        name = change["name"]
        shown = show.power if name.endswith("_w") else show.count
        key = f"change {name}"
        if name in ("node", "card", "electricity_per_kwh"):
            key = "change price"
            shown = partial(show.price, name)
        told = words(key, name=words.price(name), before=shown(change["before"] or 0.0),
                     after=shown(change["after"] or 0.0), days=show.days(change["days"]),
                     text=change["text"])  # fmt: skip
        if change["goal"]:
            told += f" ({words('for goal', goal=words('check ' + change['goal']))})"
        found.append(told)
    return found


def compared(found: Mapping[str, Any], shows: Sequence[Show], words: Words) -> Iterator[str]:
    """What sets centres apart, in sentences."""
    told, centres = found["comparison"], found["centres"]
    for centre in centres:
        if centre["days"] is None:
            yield words("cannot", a=centre["title"], why=_problems(centre))
    if not told["same_jobs"]:
        yield words("other jobs")
    able = sorted((c for c in centres if c["days"] is not None), key=lambda c: c["days"])
    show = shows[0]
    if len(able) > 1 and told["same_jobs"]:
        first, last = able[0], able[-1]
        yield words("faster", a=first["title"], b=last["title"], days=show.days(first["days"]),
                    times=words("times", n=f"{last['days'] / first['days']:.2g}"))  # fmt: skip
    priced = sorted((c for c in able if c["money"]["cost_per_token"]),
                    key=lambda c: c["money"]["cost_per_token"])  # fmt: skip
    if len(priced) > 1:
        first, last = priced[0], priced[-1]
        less = 1 - first["money"]["cost_per_token"] / last["money"]["cost_per_token"]
        key = "cheaper" if less >= 5e-4 else "as cheap"
        yield words(key, a=first["title"], b=last["title"], share=show.share(less))
    missing = sorted({name for c in centres for name in c["money"]["missing"]})
    unequal = [n for n in missing if any(n not in c["money"]["missing"] for c in centres)
               and n not in ("node", "card", "host")]  # fmt: skip
    if unequal:
        yield words("unequal prices", items=words.several(unequal))
    if len(able) > 1 and told["same_jobs"]:
        used = sorted(able, key=energy_j)
        less = 1 - energy_j(used[0]) / energy_j(used[-1])
        yield words("energy less", a=used[0]["title"], b=used[-1]["title"], share=show.share(less))


def energy_j(centre: Centre) -> float:
    """Of all jobs."""
    return float(sum(job["energy_j"] or 0.0 for job in centre["jobs"]))


def break_evens(found: Mapping[str, Any], shows: Sequence[Show], words: Words) -> list[str]:
    """Prices with which centres would be even, a sentence each."""
    sentences = []
    for even in found["comparison"]["break_even"]:
        show, centres = shows[even["centre"]], found["centres"]
        now = words("not given")
        if even["given"] is not None:
            now = words("now", price=show.price(even["name"], even["given"]))
        told = words("break even row", a=centres[even["centre"]]["title"],
                     b=centres[even["against"]]["title"], name=words.price(even["name"]),
                     price=show.price(even["name"], even["price"]))  # fmt: skip
        sentences.append(f"{told} ({now})")
    return sentences


def within_budget(centre: Centre, show: Show, words: Words) -> list[str]:
    """What each unpriced line may cost within the budget, a sentence each."""
    return [words("within budget", name=words.price(row["name"]),
                  price=show.price(row["name"], row["price"]))
            for row in centre["money"]["within_budget"]]  # fmt: skip


def caveats(centres: Sequence[Centre], shows: Sequence[Show], words: Words) -> list[str]:
    """What a reader must know before deciding."""
    cards = list(dict.fromkeys(c["machines"]["card_title"] for c in centres
                               if c["machines"]["card"].startswith(_UNMEASURED)))  # fmt: skip
    told = [words("caveat simulated", cards=", ".join(cards)) if cards
            else words("caveat measured")]  # fmt: skip
    missing = list(dict.fromkeys(n for c in centres for n in c["money"]["missing"]))
    told.append(words("caveat prices", items=words.several(missing)) if missing
                else words("caveat prices all"))  # fmt: skip
    shares = [s for c in centres for j in c["jobs"] if j["month"] for s in j["month"]["runs_share"]]
    if shares:
        months = max(len(j["month"]["runs_share"]) for c in centres for j in c["jobs"]
                     if j["month"])  # fmt: skip
        told.append(words("caveat months", runs=months, least=shows[0].share(min(shares)),
                          most=shows[0].share(max(shares))))  # fmt: skip
    told.append(words("caveat power"))
    told.append(words("caveat jobs", use=shows[0].share(centres[0]["use_share"])))
    return told
