"""Checks of policies against what there is: the GPUs that nodes offer, and the quotas on them."""

from collections.abc import Iterator, Sequence

from webhook.application.diagnosis.documents import Node
from webhook.application.diagnosis.facts import Facts, known
from webhook.application.diagnosis.policies import enforced, policy_of
from webhook.application.diagnosis.results import Verdict, fail, listed, ok, verdicts, warn
from webhook.engine.policy import Policy
from webhook.engine.quantity import whole
from webhook.engine.resources import GPU, PREFIX, GpuResource, classify, resource_name
from webhook.engine.spelling import PRODUCT, SHARED_STRATEGIES, DevicePlugin, Spelling, read_product, spell

_STRATEGY = ".sharing-strategy"
_QUOTA = "requests."  # the only prefix that quotas of extended resources have


def offered(facts: Facts) -> list[Verdict]:
    """Some node offers what plain requests become under each policy in use."""
    configuration = facts.usable_configuration()
    nodes = known(facts.nodes)
    used = {v: pair for v, pair in enforced(configuration, known(facts.namespaces)).items() if pair[0].forms}
    if not used:
        return [ok("no policy in use asks for a form of GPU")]
    problems = [
        _missing(policy, namespaces, spelling)
        for policy, namespaces in used.values()
        if not any(_offers(node, policy, spelling) for node in nodes)
        for spelling in (spell(policy.forms[0], configuration.plugin),)
    ] if False else list(_missing_forms(used, configuration.plugin, nodes))
    return verdicts(problems, lambda: f"some node offers what each of {listed(used)} asks for")
