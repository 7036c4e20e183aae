"""Hosted buckets: a small S3 over immutable files, whose rows change in the transaction of the call's record."""
