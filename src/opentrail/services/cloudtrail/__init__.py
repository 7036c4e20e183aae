"""CloudTrail: trails, selectors, keys, Event history, log files and digests."""
