"""Event handlers out of Celery tasks: from the source that was read to files that a person goes on with."""
