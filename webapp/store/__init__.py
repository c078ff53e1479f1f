"""The only SQL. Functions take an open connection and never commit; the service that called decides what belongs together."""
