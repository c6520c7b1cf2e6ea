"""Features of OULAD by SQL over the five raw exports, sharing nothing with the engine.

A prediction is made at 00:00 of a day `d`. A row of activity or a submission of a day is known from
the next midnight on, so "before t" is `day < d`. A deadline is due at the end of its day: it has
passed when `due_on < d`. A score is known 28 days after its submission, as the territory assumes.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd

__all__ = ["answers"]

ACTIVITY = """
SELECT row,
  coalesce(sum(clicks) FILTER (day >= d - 28), 0)                   AS "platform.visit.sum.28d",
  count(*) FILTER (day >= d - 7)                                    AS "platform.visit.count.7d",
  max(clicks) FILTER (day >= d - 28)                                AS "platform.visit.max.28d",
  d - max(day)                                             AS "platform.visit.days_since_last.all",
  count(DISTINCT day) FILTER (day >= d - 28)                  AS "platform.visit.active_days.28d",
  count(DISTINCT activity_type) FILTER (day >= d - 14)     AS "platform.visit.distinct_codes.14d",
  count(*) FILTER (day >= d - 14)
    / nullif(count(*) FILTER (day < d - 14 AND day >= d - 28), 0)
                                                              AS "platform.visit.trend_ratio.14d",
  CASE WHEN count(*) FILTER (day >= d - 28) > 1
       THEN stddev_pop(clicks) FILTER (day >= d - 28) END           AS "platform.visit.std.28d",
  regr_slope(clicks, day - DATE '2013-01-01') FILTER (day >= d - 56) * 30
                                                                   AS "platform.visit.slope.56d",
  CASE WHEN starts_on < d AND registered_on < d
       THEN count(DISTINCT day) FILTER (day >= starts_on) END
                                                          AS "platform.course.active_days.since"
FROM rows LEFT JOIN activity ON activity.person = rows.person AND activity.day < d
GROUP BY row, d, starts_on, registered_on
"""

GAPS = """
SELECT row, avg(gap) AS "platform.visit.mean_gap.all", max(gap) AS "platform.visit.longest_gap.all"
FROM rows LEFT JOIN (
  SELECT person, day, day - lag(day) OVER (PARTITION BY person ORDER BY day) AS gap
  FROM (SELECT DISTINCT person, day FROM activity)
) AS days ON days.person = rows.person AND days.day < d
GROUP BY row
"""

ASSESSMENTS = """
WITH marked AS (
  SELECT deadlines.*, submitted_on
  FROM deadlines LEFT JOIN submissions USING (person, id_assessment)
)
SELECT row,
  count(*) FILTER (due_on < d AND NOT coalesce(submitted_on < d, false))
                                                           AS "deadline.missed.unanswered.all",
  min(due_on - d) FILTER (due_on >= d)                           AS "deadline.days_to_next.all",
  coalesce(sum(weight) FILTER (due_on < d AND submitted_on < d), 0)   AS "deadline.met.sum.all",
  count(*) FILTER (due_on < d AND submitted_on < d) / nullif(count(*) FILTER (due_on < d), 0)
                                                                    AS "deadline.met.share.all",
  avg(submitted_on - due_on) FILTER (
    assessment_type = 'TMA' AND due_on < submitted_on AND submitted_on < d
    AND submitted_on - due_on <= 60)                        AS "tutor.late.sequence_delay.all"
FROM rows LEFT JOIN marked USING (person)
GROUP BY row
"""

SCORES = """
SELECT row,
  avg(score) FILTER (submitted_on + 28 < d)                                 AS "score.mean.all",
  count(*) FILTER (submitted_on + 28 < d AND score < 40)             AS "score.failed.count.all"
FROM rows LEFT JOIN submissions USING (person)
GROUP BY row
"""

PEERS = """
WITH clicks AS (
  SELECT row, d, module, coalesce(sum(clicks) FILTER (day >= d - 28), 0) AS clicked
  FROM (SELECT *, CASE WHEN starts_on < d AND registered_on < d THEN code_module END AS module
        FROM rows) AS placed
  LEFT JOIN activity ON activity.person = placed.person AND activity.day < d
  GROUP BY row, d, module
)
SELECT row,
  CASE WHEN module IS NOT NULL AND count(*) OVER everyone >= 20
       THEN (rank() OVER lower - 1 + count(*) OVER same / 2) / count(*) OVER everyone END
                                                          AS "peers.rank.platform.visit.sum.28d"
FROM clicks
WINDOW everyone AS (PARTITION BY module, d), lower AS (PARTITION BY module, d ORDER BY clicked),
       same AS (PARTITION BY module, d, clicked)
"""


def answers(data: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """Every feature of the queries, one row for each asked for, in their order.

    Args:
        data: Folder of the five exports.
        rows: Columns `row` (0, 1, ...), `person`, `d` (day of the prediction).
    """
    with duckdb.connect() as connection:
        connection.register("asked", rows)
        for name in ("activity", "deadlines", "submissions", "registrations"):
            file = str(data / f"{name}.parquet").replace("'", "''")
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{file}')")
        connection.execute(
            "CREATE TABLE rows AS SELECT row, person, d::DATE AS d, starts_on, registered_on, "
            "code_module FROM asked JOIN registrations USING (person)"
        )
        parts = [
            connection.execute(query).df().set_index("row")
            for query in (ACTIVITY, GAPS, ASSESSMENTS, SCORES, PEERS)
        ]
    return pd.concat(parts, axis=1).sort_index().astype("float64")
