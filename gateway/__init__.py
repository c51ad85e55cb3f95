"""The strangler: takes submissions, routes them by flag, compares what both sides did. Deleted when the migration ends."""
