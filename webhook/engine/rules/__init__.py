"""Rules: what can be wrong with a pod, each declared beside the check that finds it."""
