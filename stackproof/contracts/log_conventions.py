"""What Python's own logging expects of every handler: it shares its record with others, and its filters decide."""

from __future__ import annotations

import logging
from typing import Any

from .clauses import clause
from .evidence import Evidence
from .expectations import expect
from .log_failures import LogFailureContract
from .log_sink import Delivery, token

CACHED_ATTRIBUTES = frozenset({"message", "asctime", "exc_text"})
"""What formatters of the standard library themselves put on a record."""


class LogConventionContract(LogFailureContract):
    """The clauses about the conventions of the standard library."""

    @clause(
        "LOG-20",
        "A handler leaves the record as it was for the handlers after it.",
        because="a logger has several handlers: what one of them takes off a record is missing in the log that is kept",
        sees=(("records delivered", 1), ("attributes as they were", 10)),
    )
    def test_the_record_is_left_as_it_was(self, log: logging.Logger, delivery: Delivery, evidence: Evidence) -> None:
        before: dict[str, object] = {}
        after: list[logging.LogRecord] = []

        def remember(record: logging.LogRecord) -> bool:
            before.update(record.__dict__)
            return True

        last = logging.Handler()
        last.emit = after.append  # type: ignore[method-assign, assignment]
        log.addFilter(remember)
        log.addHandler(last)
        try:
            raise LookupError(token())
        except LookupError:
            word = delivery.sends("a record with arguments, an exception and an extra")
            log.exception("it failed %s of %s", word, "offer", extra={"customer": ["a"]})
        log.removeFilter(remember)
        log.removeHandler(last)
        delivery.expect_all()
        seen = after[0].__dict__
        # Formatters of the standard library keep the merged message, the time and the text of the exception there.
        changed = [name for name, value in before.items() if name not in CACHED_ATTRIBUTES and seen.get(name) != value]
        expect(changed, "attributes of the record that the next handler found changed").equals([])
        evidence.saw("attributes as they were", len(before) - len(changed))

    @clause(
        "LOG-21",
        "Filters of the handler decide: what they refuse is not delivered, and what they change arrives changed.",
        because="the filter that hides card numbers is set on the handler that sends records out of the house",
        sees=(("records delivered", 2), ("records held back", 3)),
    )
    def test_filters_of_the_handler_decide(
        self, handler: Any, log: logging.Logger, delivery: Delivery, evidence: Evidence
    ) -> None:
        secret, refused = token(), []

        def decide(record: logging.LogRecord) -> bool:
            record.msg = str(record.msg).replace(secret, "hidden")
            return "refuse" not in str(record.msg)

        handler.addFilter(decide)
        for _ in range(3):
            refused.append(token())
            log.error("refuse %s", refused[-1])
        log.error(f"card number {secret} %s", delivery.sends("a record that a filter changed"))
        log.error("accept %s", delivery.sends("a record that a filter accepted"))
        handler.removeFilter(decide)
        delivery.expect_all()
        found = delivery.found()
        expect([word for word in refused if found[word]], "records that a filter of the handler refused").equals([])
        expect(bool(found[secret]), "what a filter of the handler took out of a record arrived").is_false()
        evidence.saw("records held back", len(refused))
