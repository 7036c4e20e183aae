"""The record: the frozen CloudTrail event of a call. Only this package names CloudTrail's fields."""
