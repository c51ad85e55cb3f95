"""Records on their way to the ledger, and notices that outcomes have come."""
