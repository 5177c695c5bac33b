"""Whether the runtime classes that policies add to pods exist."""

from ..configuration import Mode
from .facts import Facts, known
from .policies import enforced
from .results import Findings, fail, listed, warn


def there(facts: Facts) -> Findings:
    """The RuntimeClass of every policy in use exists: the API server's own admission (RuntimeClass) denies pods otherwise."""
    used = enforced(facts)
    added = ((name, policy.additions.runtime_class_name) for name, (policy, _) in used.items())
    wanted = {name: runtime_class for name, runtime_class in added if runtime_class}
    if not wanted:
        return "no policy in use adds a runtime class"
    existing = known(facts.neighbours.runtime_classes)
    is_dry_run = facts.usable_configuration().mode is Mode.AUDIT
    problem, verb = (warn, "will be denied in mode enforce") if is_dry_run else (fail, "are denied by Kubernetes")
    for policy, name in wanted.items():
        if name not in existing:
            yield problem(
                f'policy "{policy}" adds runtime class {name}, which does not exist',
                f'pods with GPUs that set no other {verb}: RuntimeClass "{name}" not found',
                "create it, as the GPU operator does, or correct runtimeClassName in the configuration",
            )
    return f"runtime classes that policies add exist: {listed(set(wanted.values()))}"
