"""A created experiment, and the three services that act on it; none knows of the others.

`create.create_experiment` saves it and publishes `experiment.created`. Each service has a module of handlers, a queue and processes of
its own:

    python -m event_handlers --handlers examples.experiments.notification --service notification
    python -m event_handlers --handlers examples.experiments.analytics --service analytics
    python -m event_handlers --handlers examples.experiments.metrics --service metrics

They run on RabbitMQ at `DUALRUN_AMQP_URL`.
"""
