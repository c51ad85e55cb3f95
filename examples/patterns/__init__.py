"""RabbitMQ's patterns with `EventBus`, each a module whose `show` runs on any broker and says who got what.

`python -m examples.patterns work_queue` runs one in memory, `--amqp amqp://guest:guest@127.0.0.1/` on RabbitMQ.
"""
