"""What beat starts, and when. Times are UTC."""

from __future__ import annotations

from celery.schedules import crontab

__all__ = ["beat_schedule"]

beat_schedule = {
    "daily-report": {"task": "reports.daily_report", "schedule": crontab(hour=0, minute=0)},
    "cleanup-expired-tokens": {"task": "auth.cleanup_expired_tokens", "schedule": crontab(minute=0), "kwargs": {"days": 7}},
}
