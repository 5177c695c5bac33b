"""``python -m gpuwarden``, or ``python -m webhook`` in a checkout."""

from .cli.main import run

run()
