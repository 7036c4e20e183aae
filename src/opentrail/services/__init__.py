"""The services that OpenTrail offers, one package each; they never import one another."""
