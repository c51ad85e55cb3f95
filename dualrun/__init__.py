"""The floor of dualrun: the words, the wire formats, the capture of effects and the brokers.

Everything else stands on it; it imports none of `gateway`, `legacy_celery` and `event_handlers`.
"""
