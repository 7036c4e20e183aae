"""Who calls and what they may do: signatures, credentials, sessions, and the evaluation of policies."""
