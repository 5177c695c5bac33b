"""What a scenario measured, for people: shown with ``pytest -s``, and with a test that fails."""


def tell(what: str) -> None:
    """Print it on lines of its own."""
    print(f"\n{what}")  # noqa: T201 - this is what it is for
