"""Rules: what can be wrong with a pod. Each rule is declared next to its check."""
