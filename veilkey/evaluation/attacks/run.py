"""All attacks on all cases that are to be attacked: what the report says under `attacks`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from veilkey.errors import NoFace
from veilkey.evaluation import attacks
from veilkey.evaluation.attacks.base import Attack, Field, Result
from veilkey.evaluation.attacks.others import Others
from veilkey.evaluation.intervals import People
from veilkey.evaluation.measured import Measured
from veilkey.evaluation.pool import Workers
from veilkey.evaluation.protocol import LeftOut

DEFAULT_METHOD = "veilkey-standard"


def run_attacks(
    names: Sequence[str],
    methods: Sequence[str],
    target: tuple[str, ...],
    measured: Measured,
    others: Others,
    pool: Workers,
) -> tuple[list[dict[str, Any]], list[LeftOut]]:
    """Attack each case of `methods` that worked against `target`, or against nobody; see run.py for the entries.

    Second, what was not tried, and why.
    """
    found: list[dict[str, Any]] = []
    left_out: list[LeftOut] = []
    if others.held_out:
        why = "too few others have photos here, so an attacker learns from theirs"
        left_out.append(LeftOut(f"attacks on {len(others.held_out)} people", why))
    for row, case in enumerate(measured.cases):
        if case.method not in methods or case.attacked not in (target, ()):
            continue
        kept = [n for n in measured.protected(row) if measured.photos.probes[n].photo.person not in others.held_out]
        field = Field(measured, row, np.array(kept, int), case.attacked or target, others, pool)
        for name in names:
            attack, what = attacks.get(name), f"attack {name} on {case.title}"
            if attack.needs_keys and not case.is_own:
                left_out.append(LeftOut(what, "the method issues no keys"))
                continue
            try:
                results = attack.run(field)
            except NoFace as error:
                left_out.append(LeftOut(what, str(error)))
                continue
            for result in results:
                found += _entries(attack, result, field)
    return found, left_out


def _entries(attack: Attack, result: Result, field: Field) -> list[dict[str, Any]]:
    people = People([known.photo.person for known in field.known(result.probes)])
    before = field.matches(result.probes, field.digests(result.probes))
    return [
        {
            "attack": attack.name,
            "title": f"{attack.name}: {result.title}",
            "row": field.row,
            "method": field.case.method,
            "judge": base.judge,
            "attacked": base.judge in field.case.attacked,
            "before": people.share(before[base.judge]),
            "after": None if result.after is None else people.share(result.after[base.judge]),
            "note": result.note,
        }
        for base in field.measured.grounds
    ]
