"""Adapters: each connects the application to one thing outside the process."""
