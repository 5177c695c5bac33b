"""The check of other mutating webhooks: whether one that may add GPUs is called after gpuwarden's, or an old one is left over."""

from .facts import Facts, known
from .our_webhooks import MUTATING, name_of, our_webhooks
from .results import Findings, listed, warn
from .webhook_configurations import WebhookConfiguration

# Webhooks that add GPUs, or change how GPUs are scheduled, by a part of the name of one of their webhooks.
_ADD_GPUS = {
    "hami.io": "HAMi adds nvidia.com/gpu and its scheduler",
    "sparkoperator.k8s.io": "the Spark operator adds the GPUs of a SparkApplication",
    "kai-admission": "KAI adds the variables and volumes of a GPU fraction",
    "kai.scheduler": "KAI adds the variables and volumes of a GPU fraction",
    "kai-resource-isolator": "KAI's resource isolator turns GPU fractions into memory limits",
    "das-webhook": "the Dynamic Accelerator Slicer renames GPU resources",
    "instaslice": "InstaSlice renames GPU resources",
    "tensor-fusion": "TensorFusion replaces GPU resources",
    "koordinator": "Koordinator replaces GPU resources",
    "vgpu-manager": "vgpu-manager adds GPU resources",
    "gpustack": "GPUStack adds GPU resources",
}


def others(facts: Facts) -> Findings:
    """No mutating webhook for pods comes after ours, because GPUs that it adds would not be rewritten."""
    if known(facts.mutating) is None:
        return "gpuwarden's own mutating webhook is missing (see check webhooks), so no other one comes after it"
    name = name_of(facts, MUTATING)
    of_pods = [
        configuration
        for configuration in known(facts.all_mutating)
        if any(webhook.covers("CREATE", "pods") for webhook in configuration.webhooks or ())
    ]
    ours = {(ref.namespace, ref.name) for one in our_webhooks(facts) if (ref := one.webhook.client_config.service)}
    former = [one.metadata.name for one in of_pods if one.metadata.name != name and _calls(one, ours)]
    later = [one for one in of_pods if one.metadata.name > name and one.metadata.name not in former]
    for left in former:
        yield warn(
            f"{MUTATING} {left} calls gpuwarden too, in addition to {name}",
            "pods are sent twice, and once gpuwarden's CA changes, every pod with a GPU waits for a call that fails",
            f"kubectl delete mutatingwebhookconfiguration {left}",
        )
    if later:
        last = max(one.metadata.name for one in later)
        yield warn(
            f"these mutating webhooks come after gpuwarden's {name}: {listed(map(_described, later))}",
            "a pod that gets its first GPU from a webhook after gpuwarden's is denied (not-rewritten), and a request that "
            "another scheduler interprets may be rewritten before that scheduler is set",
            f"set webhooks.mutate.configurationName to a name that sorts last, such as {_after(last)}",
        )
    return "no other mutating webhook for new pods comes after gpuwarden's"


def _calls(configuration: WebhookConfiguration, services: set[tuple[str, str]]) -> bool:
    called = (webhook.client_config.service for webhook in configuration.webhooks or ())
    return any((ref.namespace, ref.name) in services for ref in called if ref)


def _described(configuration: WebhookConfiguration) -> str:
    """A configuration by its name, with what is known about it."""
    names = " ".join([configuration.metadata.name, *(webhook.name for webhook in configuration.webhooks or ())])
    found = next((does for part, does in _ADD_GPUS.items() if part in names), "")
    return f"{configuration.metadata.name} ({found})" if found else configuration.metadata.name


def _after(name: str) -> str:
    """A name for gpuwarden's configuration that sorts after another one."""
    letters = len(name) - len(name.lstrip("z"))
    return f"{'z' * max(letters + 1, 3)}-gpuwarden"
