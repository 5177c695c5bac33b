"""Recommendation: which form fits each workload, from what it used; pure."""
