"""LimitRange defaults next to a renamed request, as CEL: ``webhook.engine.limit_range_defaults`` for pods of the common case.

LimitRanger runs again after a change, and gives a container the default for the name that it no longer has. The API server
then applies the policy that changed the pod again, but does not call a webhook that it did not call at first.
"""

from ..engine import cel
from ..engine.decision import POLICY
from ..engine.limit_range_defaults import ANNOTATION
from ..engine.mig_profiles import PROFILE
from ..engine.resources import GPU, PREFIX
from .in_tree_facts import CONTAINER

_ANNOTATIONS = "object.metadata.annotations"
_LIMITS, _REQUESTS = f"{CONTAINER}.resources.limits", f"{CONTAINER}.resources.requests"
_NAMES = rf"^nvidia\.com/(gpu|mig-{PROFILE})(\.shared)?$"

IS_ASKED_AGAIN = f"""has({_ANNOTATIONS}) && {cel.quoted(POLICY)} in {_ANNOTATIONS} &&
{cel.quoted(ANNOTATION)} in {_ANNOTATIONS} && {_ANNOTATIONS}[{cel.quoted(ANNOTATION)}].contains({cel.quoted(PREFIX)})"""
"""Whether the pod was changed, and LimitRanger has added an NVIDIA resource since."""


def _added(section: str) -> str:
    """Whether LimitRanger says that it set ``name`` in a section of the container."""
    told = f"' {section} for container ' + {CONTAINER}.name"
    names = f"entry.substring(0, size(entry) - size({told})).split(', ')"
    return f"variables.entries.exists(entry, entry.endsWith({told}) && {names}.exists(n, n == name))"


VARIABLES = (
    (
        "entries",
        f"({IS_ASKED_AGAIN}) ? {_ANNOTATIONS}[{cel.quoted(ANNOTATION)}].replace('LimitRanger plugin set: ', '').split('; ') : []",
    ),
    (
        "dropped",
        f"""lists.range(size(object.spec.containers)).filter(i, has({CONTAINER}.resources) && has({_LIMITS}) &&
has({_REQUESTS}) && {cel.quoted(GPU)} in {_LIMITS} && {cel.quoted(GPU)} in {_REQUESTS} &&
{_LIMITS}.filter(name, name.matches({cel.quoted(_NAMES)}) && string({_LIMITS}[name]) != '0').size() == 2 &&
[{cel.quoted(GPU)}].exists(name, {_added("limit")} && {_added("request")}) &&
{_LIMITS}.exists(name, name != {cel.quoted(GPU)} && name.matches({cel.quoted(_NAMES)}) && !{_added("limit")}))""",
    ),
)
"""The entries of LimitRanger's annotation, and the containers, as indexes, that lose what it added to their own request."""

_PATH = "'/spec/containers/' + string(i) + '/resources/%s/" + GPU.replace("/", "~1") + "'"
DROPS = f"""variables.dropped.map(i, [JSONPatch{{op: 'remove', path: {_PATH % "limits"}}},
JSONPatch{{op: 'remove', path: {_PATH % "requests"}}}]).flatten()"""
"""The JSON Patch that removes it."""
