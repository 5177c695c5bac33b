"""The command line and the composition of the server."""
