"""Check of the admission policies in the API server itself: whether they are those of the configuration, and who decides."""

from collections.abc import Iterator, Sequence
from typing import Any

from webhook.application.diagnosis.documents import AdmissionPolicy
from webhook.application.diagnosis.facts import Facts, known
from webhook.application.diagnosis.ours import readable_webhooks
from webhook.application.diagnosis.results import CheckOutcome, listed, verdicts, warn
from webhook.application.in_tree import ANNOTATION, compiled

_ALONE = ".others"
_FIX = "compile the policies again and apply them (docs/how-to/in-tree.md)"


def same(facts: Facts) -> list[CheckOutcome]:
    """The admission policies are what the configuration compiles to."""
    ours = [(kind, one) for kind, listed_ in known(facts.in_tree).items() for one in listed_ if one.enforces]
    by_webhooks = bool(readable_webhooks(facts))
    names = sorted({one.enforces or "" for _, one in ours})
    if not names:
        return verdicts((), lambda: "the webhooks decide every pod: there are no admission policies of gpuwarden")
    rest = "the webhooks decide all other pods" if by_webhooks else "no webhook decides the other pods"
    return verdicts(
        _different(facts, ours, names), lambda: f"the API server decides the common case of {listed(names)}; {rest}"
    )


def _different(
    facts: Facts, ours: Sequence[tuple[str, AdmissionPolicy]], names: Sequence[str]
) -> Iterator[CheckOutcome]:
    configuration = facts.usable_configuration()
    alone = any(one.metadata.name.endswith(_ALONE) for _, one in ours)
    made = compiled(configuration, names, deny_others=alone)
    wanted = {
        (each["kind"], each["metadata"]["name"]): each for each in made.objects if "policyName" not in each["spec"]
    }
    found = {(kind, one.metadata.name): one for kind, one in ours}
    means = "the API server decides pods otherwise than the configuration says"
    for key in sorted({*found, *wanted}):
        kind, name = key
        if key not in wanted:
            yield warn(
                f"{kind} {name} is not made from the configuration",
                means,
                f"kubectl delete {kind.lower()} {name}, or {_FIX}",
            )
        elif key not in found:
            policy = wanted[key]["metadata"]["annotations"][ANNOTATION]
            if policy in names:
                yield warn(f"there is no {kind} {name}", means, _FIX)
        elif not _contains(found[key].spec, wanted[key]["spec"]):
            yield warn(f"{kind} {name} differs from what the configuration compiles to", means, _FIX)


def _contains(found: Any, wanted: Any) -> bool:
    """Whether an object of the API server has all of a manifest; it adds defaults."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_contains(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        pairs = zip(found, wanted, strict=False) if isinstance(found, list) and len(found) == len(wanted) else None
        return pairs is not None and all(_contains(one, other) for one, other in pairs)
    return bool(found == wanted)
