"""SNS: notifications."""
