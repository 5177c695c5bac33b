"""Certificates: a CA that all replicas share, its rotation, serving certificates, and tokens in the webhooks' paths."""
