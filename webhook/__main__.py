"""``python -m webhook``."""

from webhook.cli.main import run

run()
