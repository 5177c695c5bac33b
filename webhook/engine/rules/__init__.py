"""The rules: each one function, with its id, its sentence and nothing else."""
