"""How far the labelling of a run is, counted in the store."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, not_, select

from prefrl.feedback import Purpose
from prefrl.store.leases import answers_in_time, came_late, is_open
from prefrl.store.schema import answers, current_answers, queries, remarks


@dataclass(frozen=True)
class Counts:
    """How far labelling is; labels and skips are those of training queries, which spend the budget."""

    queries: int  # training queries asked
    labels: int  # current answers other than skips, those that came late left out
    skips: int  # current answers that skip, likewise
    open: int  # training queries that nobody has answered or closed
    missing: int  # answers that training queries still want until `overlap` labellers have answered each
    other_answers: int  # current answers to gold, repeated and practice queries
    check_labels: int = 0  # those of them that are no skips, without practice
    check_skips: int = 0  # those that are, likewise


class Counter:
    """Counts a run's labels, again only after something has been stored: who looks often, looks for free."""

    def __init__(self) -> None:
        self._counted: dict[tuple[str, int], tuple[tuple[int | None, ...], Counts]] = {}

    def count(self, connection: Connection, run: str, *, overlap: int) -> Counts:
        """As `count_labels`."""
        newest = tuple(
            connection.execute(select(func.max(table.c.event))).scalar()
            for table in (queries, answers, remarks)
        )
        known = self._counted.get((run, overlap))
        if known is None or known[0] != newest:  # whatever changes the counts is an event, an erasure too
            known = self._counted[run, overlap] = (newest, count_labels(connection, run, overlap=overlap))
        return known[1]


def count_labels(connection: Connection, run: str, *, overlap: int) -> Counts:
    """The counts of a run; every answer to a training query is one, so a query may bring `overlap` labels."""
    is_training = queries.c.purpose == str(Purpose.TRAINING)
    of_run = (queries.c.run == run, is_training)
    view = current_answers
    answered = (
        select(queries.c.purpose, view.c.value.is_(None), func.count())
        .select_from(view.join(queries, queries.c.id == view.c.query_id))
        .where(queries.c.run == run, not_(came_late(view)))
        .group_by(queries.c.purpose, view.c.value.is_(None))
    )
    untouched = is_open(labeller=None, now=None, overlap=1)
    wanting = is_open(labeller=None, now=None, overlap=overlap)
    wanted = select(func.coalesce(func.sum(overlap - answers_in_time()), 0)).select_from(queries)
    asked = select(func.count()).select_from(queries).where(*of_run)
    groups = {(Purpose(row[0]), bool(row[1])): row[2] for row in connection.execute(answered)}
    checks = [
        sum(groups.get((purpose, skip), 0) for purpose in (Purpose.GOLD, Purpose.REPEAT))
        for skip in (False, True)
    ]
    return Counts(
        queries=connection.execute(asked).scalar_one(),
        labels=groups.get((Purpose.TRAINING, False), 0),
        skips=groups.get((Purpose.TRAINING, True), 0),
        open=connection.execute(asked.where(untouched)).scalar_one(),
        missing=connection.execute(wanted.where(*of_run, wanting)).scalar_one(),
        other_answers=sum(number for (purpose, _), number in groups.items() if purpose != Purpose.TRAINING),
        check_labels=checks[False],
        check_skips=checks[True],
    )
