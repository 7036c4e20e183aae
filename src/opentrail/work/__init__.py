"""The runner of followers and other lasting work: positions, leases with fencing, retries, progress. Broad `except` only in runner.py."""
