"""The exit codes of the commands, besides 0."""

EXIT_DENIED = 1
"""Something is denied, or does not pass ``--strict``; the ``--help`` of each command has the list."""
EXIT_FAILED_CHECK = 1
"""A check of ``gpuwarden doctor`` fails."""
EXIT_USAGE = 2
"""Wrong usage, or input that can't be read."""
EXIT_UNWRITTEN = 2
"""Standard output can't be written."""
EXIT_PIPE = 128 + 13
"""The code that a shell reports for a program that SIGPIPE ended (``cat file | head -1``); used for nothing else."""
