"""All known attacks, in one table: `docs/security.md` is made from it. A new row is one entry in a module of this package.

Rule: a row says what comes of the attack at each level of the sandbox, names the tests that show it, and the test in which its
defence is taken away.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.attacks.catalogue import ends, judges, left_behind, records, reports, reviews, rooms, runs, secrets
from tests.attacks.catalogue.row import Row

SECTIONS: Mapping[str, tuple[Row, ...]] = {
    "sandbox": rooms.ROWS,
    "left-behind": left_behind.ROWS,
    "judges": judges.ROWS,
    "runs": runs.ROWS,
    "reports": reports.ROWS,
    "reviews": reviews.ROWS,
    "ends": ends.ROWS,
    "records": records.ROWS,
    "secrets": secrets.ROWS,
}
ROWS = tuple(row for rows in SECTIONS.values() for row in rows)
