"""What is expected of gold and practice queries: on record as remarks beside them.

A query is shown to labellers and says nothing about it; a remark is not, and is exported, journalled and
rebuilt with the rest.
"""

import json

from prefrl.feedback import Query, Remark, RemarkKind, Value, make_id
from prefrl.store.feedback_store import FeedbackStore

TRUE_REWARD = "true reward"
"""Who expects: the labeller of the remark."""


def expectation(query: Query, value: Value, *, seed: int) -> Remark:
    """The remark that an answer is expected to a query of a run; `value` in the query's order of items."""
    return Remark(
        id=make_id(query.run, seed, "expected", query.counter),
        run=query.run,
        kind=RemarkKind.EXPECTED,
        subject=query.id,
        labeller=TRUE_REWARD,
        content=json.dumps(value),
    )


def expected_values(store: FeedbackStore, run: str) -> dict[str, Value]:
    """What is expected of the gold and practice queries of a run, by query id, in the order of its items."""
    found = store.remarks(run, kind=RemarkKind.EXPECTED)
    values = {remark.subject: json.loads(remark.content) for remark in found}
    return {query: tuple(value) if isinstance(value, list) else value for query, value in values.items()}
