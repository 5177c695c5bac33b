"""Whether the runtime classes that policies add to pods exist."""

from .facts import Facts, known
from .policies import enforced
from .results import Findings, fail, listed


def there(facts: Facts) -> Findings:
    """The RuntimeClass of every policy in use exists: the API server's own admission (RuntimeClass) denies pods otherwise."""
    used = enforced(facts)
    added = ((name, policy.additions.runtime_class_name) for name, (policy, _) in used.items())
    wanted = {name: runtime_class for name, runtime_class in added if runtime_class}
    if not wanted:
        return "no policy in use adds a runtime class"
    existing = known(facts.neighbours.runtime_classes)
    for policy, name in wanted.items():
        if name not in existing:
            yield fail(
                f'policy "{policy}" adds runtime class {name}, which does not exist',
                f'pods with GPUs that set no other are denied by Kubernetes: RuntimeClass "{name}" not found',
                "create it, as the GPU operator does, or correct runtimeClassName in the configuration",
            )
    return f"runtime class {listed(set(wanted.values()))} exists"
