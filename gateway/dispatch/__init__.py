"""Handing work over: to Celery workers and to event handlers."""
