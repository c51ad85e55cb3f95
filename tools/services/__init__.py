"""RabbitMQ, Redis and PostgreSQL for the tests: found where they run, else started, and stopped again. Standard library only."""
