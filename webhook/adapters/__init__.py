"""Adapters: each knows one outside thing."""
