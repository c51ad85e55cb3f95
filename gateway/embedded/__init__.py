"""Everything in one process, with nothing installed but Python: gateway, a real Celery worker, event handlers, comparator, sample shop.

The one place that may import `legacy_celery`, `event_handlers` and `examples`, and it does so lazily: they belong to whoever runs it.
"""
