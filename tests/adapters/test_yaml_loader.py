"""Aliases and nesting: what people write is read, and what multiplies is refused before anything is built."""

import pytest

from webhook.adapters import yaml_loader
from webhook.adapters.yaml_loader import YamlBombError

_LINES = "\n".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]" for n in range(12))
NESTED_ALIASES = f"a0: &a0 [x]\n{_LINES}\n"
"""Less than a kilobyte, and 9 to the power of 12 values for whoever walks it."""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: b",
        "a: &x {b: c}\nd: *x\ne: {<<: *x, f: g}",
        "a: &x 1\n---\nb: 2",
        "[" * 100 + "]" * 100,
        f"a: &x [{', '.join(['1'] * 99)}]\nb: [{', '.join(['*x'] * 100)}]",
        "a: *nobody",  # the loader says what is wrong with it
    ],
)
def test_what_people_write_passes(text: str) -> None:
    yaml_loader.check(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (NESTED_ALIASES, "line 5: aliases repeat more than 10000 values"),
        (NESTED_ALIASES.replace("[x]", "{k: v}").replace("[*", "{<<: [*").replace("]", "]}"), "aliases"),
        (f"a: &x [{', '.join(['1'] * 99)}]\nb: [{', '.join(['*x'] * 101)}]", "line 2: aliases repeat"),
        ("a: &x [*x]", "line 1: *x contains itself; write out its values instead"),
        ("a:\n  &x b: {c: [1, *x]}\n&y d: &z {e: *z}", "line 3: *z contains itself; write out its values instead"),
        ("[" * 101, "line 1: is nested deeper than 100 levels; write it with fewer levels"),
    ],
)
def test_what_multiplies_is_refused(text: str, says: str) -> None:
    with pytest.raises(YamlBombError) as caught:
        yaml_loader.check(text)

    assert says in str(caught.value)


def test_an_anchor_that_is_set_again_stands_for_its_last_value() -> None:
    """Else a large one could hide behind a small one of its name."""
    large = f"&x [{', '.join(['1'] * 999)}]"
    with pytest.raises(YamlBombError):
        yaml_loader.check(f"- &x 1\n- {large}\n- [{', '.join(['*x'] * 11)}]")
    yaml_loader.check(f"- {large}\n- &x 1\n- [{', '.join(['*x'] * 11)}]")
