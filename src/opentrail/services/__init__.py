"""The services, each a folder with one shape; none imports another."""
