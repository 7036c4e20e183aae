"""OpenTrail: the audit trail you own."""
