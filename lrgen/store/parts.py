"""Evidence on the parts of rendered files: rows of a table, and back."""

from collections.abc import Iterable

from sqlalchemy import Connection, insert, select, true

from lrgen.records import PartEvidence
from lrgen.store.database import Database
from lrgen.store.rows import Conditions, timestamp
from lrgen.store.tables import PARTS


def save(connection: Connection, evidence: Iterable[PartEvidence], conditions: Conditions) -> None:
    """Insert a row for each piece of evidence."""
    now = timestamp()
    rows = [
        {
            "kind": part.kind,
            "key": part.key,
            "executed_in": part.executed_in,
            "case_seed": part.case_seed,
            "sentences": list(part.sentences),
            "trace": part.trace,
            "settings": conditions.settings,
            "check_version": conditions.check_version,
            "torch": conditions.torch,
            "lrgen": conditions.lrgen,
            "device": conditions.device,
            "timestamp": now,
        }
        for part in evidence
    ]
    if rows:
        connection.execute(insert(PARTS), rows)


def known(database: Database, conditions: Conditions, case_seed: int | None) -> list[PartEvidence]:
    """The evidence under the same conditions, newest last; with a ``case_seed`` that of this seed alone."""
    if not database.exists():
        return []
    columns = PARTS.c
    rows = database.rows(
        select(PARTS)
        .where(
            columns.check_version == conditions.check_version,
            columns.torch == conditions.torch,
            columns.device == conditions.device,
            columns.settings == conditions.settings,
            columns.case_seed == case_seed if case_seed is not None else true(),
        )
        .order_by(columns.id)
    )
    return [
        PartEvidence(
            row["kind"], row["key"], row["executed_in"], row["case_seed"], tuple(row["sentences"]), row["trace"]
        )
        for row in rows
    ]
