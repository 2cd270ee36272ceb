"""A program of a user, for mypy --strict: what the package promises to type checkers."""

from datetime import datetime, timedelta, timezone
from typing import List, Optional

import obsabort


def progress(now: obsabort.Progress) -> Optional[bool]:
    return False if now.done > 1000 else None


def keep(candidate: obsabort.Outcome) -> bool:
    return candidate.key is None


def clean(client: obsabort.Client, bucket: str) -> int:
    outcome: obsabort.Outcome = client.abort(bucket, "key", "id", timeout=timedelta(seconds=5))
    initiated: Optional[datetime] = outcome.initiated
    print(initiated, outcome.code is obsabort.Code.OK)
    keys: List[Optional[str]] = [each.key for each in client.abort_stale(bucket, 86400, dry_run=True)]
    report: obsabort.Report = client.abort_stale(bucket, 86400).run(progress)
    before = datetime(2026, 1, 1, tzinfo=timezone.utc)
    report = client.sweep(bucket, initiated_before=before, idle=timedelta(days=1), measure=True, keep=keep).run()
    names: List[str] = [each.name for each in client.buckets()]
    print(report.bytes, report.complete, names)
    try:
        report = client.abort_many(bucket, ((key, "id") for key in keys if key), progress=progress)
    except obsabort.PartialError as error:
        print(error.message, error.report)
    return report.aborted


async def clean_async(client: obsabort.Client, bucket: str) -> int:
    outcome: obsabort.Outcome = await client.abort_async(bucket, "key", "id")
    count = len(await client.buckets_async())
    async for outcome in client.abort_stale(bucket, timedelta(days=1)):
        count += outcome.attempts
    return count
