"""Explanations as text for a terminal."""

import textwrap
from collections.abc import Iterator

from ...application.explaining import Explanation, FormExplanation, PolicyExplanation, RuleExplanation


def explanation_text(explanation: Explanation, width: int) -> str:
    """Return an explanation in lines of at most so many characters, unless a name or an address is longer."""
    if isinstance(explanation, FormExplanation):
        lines = _form(explanation)
    elif isinstance(explanation, PolicyExplanation):
        lines = _policy(explanation)
    else:
        lines = _rule(explanation)
    return "\n".join(_wrapped(line, width) for line in lines)


def _wrapped(line: str, width: int) -> str:
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.fill(
        line.lstrip(),
        width,
        initial_indent=indent,
        subsequent_indent=indent * 2,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _form(form: FormExplanation) -> Iterator[str]:
    yield f"{form.name} (form): {form.title}"
    yield from _paragraph(form.description)
    yield from _spelled(form)
    yield from _guide(form)


def _policy(policy: PolicyExplanation) -> Iterator[str]:
    yield f"{policy.name} (policy): permits {', '.join(policy.permits)}"
    yield from _paragraph(policy.description)
    yield from _section("Settings", [f"{name}: {value}" for name, value in policy.settings.items()])
    traps: dict[str, set[str]] = {}
    for form in policy.forms:
        yield ""
        yield f"{form.name}: {form.title}"
        yield from _spelled(form)
        if form.title in traps:
            yield from _section("Pitfalls", [trap for trap in form.traps if trap not in traps[form.title]])
        else:
            yield from _paragraph(form.description)
            yield from _guide(form)
        traps.setdefault(form.title, set()).update(form.traps)


def _rule(rule: RuleExplanation) -> Iterator[str]:
    yield f"{rule.id}: {rule.title}"
    yield from _section("Under enforce", [rule.effect])
    yield from _paragraph(rule.help)
    yield from _section("Source", [rule.source])


def _spelled(form: FormExplanation) -> Iterator[str]:
    if form.unavailable:
        yield from _section("Not available with this configuration", [form.unavailable])
    elif form.resource:
        yield from _section("A container requests, with this configuration", [form.resource])
        yield from _section("The pod selects nodes with", form.node_labels)
    memory = [
        f"{each.gpu}: {each.lowest} MiB"
        + (f" to {each.highest} MiB" if each.highest > each.lowest else "")
        + f" ({each.source})"
        for each in form.memory
    ]
    yield from _section("Measured memory of a slice", memory)


def _guide(form: FormExplanation) -> Iterator[str]:
    yield from _section("Criteria", [f"{one.criterion}: {one.value}. {one.detail}" for one in form.criteria])
    yield from _section("Suits", form.suits)
    yield from _section("Pitfalls", form.traps)
    yield from _section("Sources", form.sources)


def _paragraph(text: str) -> Iterator[str]:
    yield ""
    yield text


def _section(title: str, items: list[str] | tuple[str, ...]) -> Iterator[str]:
    if not items:
        return
    yield ""
    yield f"{title}:"
    yield from (f"  {item}" for item in items)
