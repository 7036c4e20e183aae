"""The ordered, durable list of records: appended inside the lane's transaction, read by position, verified by its running hash."""
