"""A stand-in for an API server: real HTTP on loopback, and faults on demand."""
