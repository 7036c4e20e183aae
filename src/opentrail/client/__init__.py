"""What the command line does as a client of the signed API, like any other client: no back door."""
