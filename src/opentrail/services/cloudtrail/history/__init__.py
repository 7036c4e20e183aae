"""Event history: an index of journal positions by eight attributes, and the search that merges it with the journal's newest end."""
