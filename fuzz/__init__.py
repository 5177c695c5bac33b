"""Fuzzing: whatever bytes come, the answer is one of the answers that there are. `make fuzz` runs it for ten minutes."""
