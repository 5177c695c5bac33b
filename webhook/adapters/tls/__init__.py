"""TLS: contexts, the serving certificate that can be replaced under load, and pairs read from files."""
