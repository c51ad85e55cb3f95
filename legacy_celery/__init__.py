"""The old world: the sample Celery application, and the capture that turns any Celery worker's signals into outcomes."""
