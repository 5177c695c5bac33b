"""Policies: the forms that a namespace permits, by built-in value or configured name, and the policies that its labels select."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from enum import StrEnum
from functools import lru_cache

import msgspec

from .forms import MAXIMUM_CLIENTS, MINIMUM_CLIENTS, Form, Platform, Sharing, parse
from .mig_profiles import DOCUMENTED
from .namespace_labels import AUDIT, ENFORCE, WARN, NamespaceLabels
from .pods import Toleration
from .spelling import DevicePlugin, ambiguous

ANY = "any"
NONE = "none"
_SLICES = re.compile(r"mig-[0-9]+g")
# A client count at the end of a value.
_COUNT = re.compile(r"[0-9]{1,9}\Z")


class Mismatch(StrEnum):
    """The outcome for an explicit request for a form that the policy does not list."""

    REJECT = "reject"
    REWRITE = "rewrite"


class FindingAction(StrEnum):
    """What a policy does with findings of one kind (``visibleDevices``, ``notOffered``)."""

    IGNORE = "ignore"
    WARN = "warn"
    DENY = "deny"


class ClaimForm(msgspec.Struct, frozen=True):
    """GPUs by a claim (DRA): a ResourceClaimTemplate, and the DeviceClass that it must request."""

    template: str
    device_class: str

    def __str__(self) -> str:
        return f'a claim of ResourceClaimTemplate "{self.template}"'


class Prefer(StrEnum):
    """Which of several forms a plain request gets: the first, the first that nodes offer, or the first with enough memory."""

    FIRST = "first"
    OFFERED = "offered"
    MEMORY = "memory"


class PolicyAdditions(msgspec.Struct, frozen=True, cache_hash=True):
    """What a policy adds to pods with GPUs. It never overrides what the pod sets. Labels and variables are (name, value)."""

    node_selector: tuple[tuple[str, str], ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    runtime_class_name: str | None = None
    env: tuple[tuple[str, str], ...] = ()


NO_ADDITIONS = PolicyAdditions()


class Policy(msgspec.Struct, frozen=True, cache_hash=True):
    """An ordered list of permitted forms, and settings. A plain request becomes the first that the pod's selectors permit.

    Attributes:
        name: the label value that selects it.
        forms: the permitted forms; empty for ``any`` and ``none``.
        claim_forms: the claims that are permitted in addition to ``forms``.
        plain_claim: the claim that a plain request becomes, if it is listed before all forms.
        permits_any: every form is permitted and nothing is rewritten.
        mismatch: the outcome for explicit requests for other forms.
        max_per_container, max_per_pod: the maximum number of GPUs that one may request.
        additions: what it adds to pods that request GPUs.
        visible_devices: the outcome for pods that reach GPUs without a request; ``None`` is ``warn``, and ``ignore`` if any
            form is permitted.
        admin_access: whether claims (DRA) may have ``adminAccess``.
        not_offered: the outcome for pods that no node can run; ``None`` is ``warn``.
        prefer: which form a plain request gets.
        for_memory: whether it is the policy for one pod, reduced to the forms with the memory that the pod requests.
        unreadable: why the label is invalid, for the policy that replaces it and denies every GPU.
    """

    name: str
    forms: tuple[Form, ...] = ()
    claim_forms: tuple[ClaimForm, ...] = ()
    plain_claim: ClaimForm | None = None
    permits_any: bool = False
    mismatch: Mismatch = Mismatch.REJECT
    max_per_container: int | None = None
    max_per_pod: int | None = None
    additions: PolicyAdditions = NO_ADDITIONS
    visible_devices: FindingAction | None = None
    admin_access: bool = False
    not_offered: FindingAction | None = None
    prefer: Prefer = Prefer.FIRST
    for_memory: bool = False
    unreadable: str | None = None

    @property
    def permitted(self) -> tuple[Form | ClaimForm, ...]:
        """Everything that it lists, beginning with what a plain request becomes. Empty for ``any`` and ``none``."""
        return (*self.claim_forms, *self.forms) if self.plain_claim else (*self.forms, *self.claim_forms)

    @property
    def evaluates_claims(self) -> bool:
        """Whether claims (DRA) are checked: not if any form and any number is permitted."""
        return not self.permits_any or self.has_limits

    @property
    def has_limits(self) -> bool:
        """Whether it limits the number of GPUs."""
        return self.max_per_container is not None or self.max_per_pod is not None

    @property
    def guard(self) -> FindingAction:
        """The effective ``visible_devices``."""
        return self.visible_devices or (FindingAction.IGNORE if self.permits_any else FindingAction.WARN)

    @property
    def fleet_response(self) -> FindingAction:
        """The effective ``not_offered``."""
        return self.not_offered or FindingAction.WARN

    @property
    def orders(self) -> "tuple[Policy, ...]":
        """The policy with every order of forms by which it may have rewritten a pod: one, except under ``prefer: offered``."""
        if self.prefer is not Prefer.OFFERED:
            return (self,)
        return tuple(
            msgspec.structs.replace(self, forms=(form, *(other for other in self.forms if other != form)))
            for form in self.forms
        )

    def most_shared(self, form: Form) -> int:
        """How many slots of a shared form one container may request: 1, or the limit that the policy sets.

        ``maxPerContainer`` means slots only in a policy with only shared forms. GKE time-sharing denies more than one under
        every policy.
        """
        raises = self.forms and all(listed.shared for listed in self.forms) and not rejects_more_than_one(form)
        return max(1, self.max_per_container or 1) if raises else 1


def rejects_more_than_one(form: Form) -> bool:
    """Whether a shared form's device plugin rejects two slots whatever its settings (GKE gpusharing.go: time-sharing)."""
    return form.platform is Platform.GKE and form.sharing is Sharing.TIME_SLICING


ANY_POLICY = Policy(ANY, permits_any=True)
NONE_POLICY = Policy(NONE)


class LabelProblem(msgspec.Struct, frozen=True):
    """Something wrong with a label or an annotation.

    Attributes:
        path: the field, such as ``metadata.labels[gpuwarden.io/enforce]``.
        value: the value of the label or annotation.
        message: the problem and the fix.
        ignored: whether gpuwarden does not read it at all. Otherwise it is read, and names no policy.
    """

    path: str
    value: str
    message: str
    ignored: bool = False


class NamespacePolicies(msgspec.Struct, frozen=True):
    """The policies of a namespace's labels: one for each mode, and the invalid labels.

    ``advise`` is the policy for warnings about workloads: ``warn``, or ``enforce`` if ``warn`` is not set. ``plain_claims`` is
    whether plain requests become claims under one of them.
    """

    enforce: Policy
    warn: Policy
    audit: Policy
    advise: Policy
    problems: tuple[LabelProblem, ...] = ()
    plain_claims: bool = False


class PolicyBook:
    """Every policy that a label can name: the built-in values and the configured names."""

    def __init__(
        self,
        configured: Mapping[str, Policy] | None = None,
        defaults: NamespaceLabels | None = None,
        visible_devices: FindingAction | None = None,
        plugin: DevicePlugin | None = None,
        not_offered: FindingAction | None = None,
    ) -> None:
        """Take what is configured.

        ``visible_devices`` and ``not_offered`` are the defaults of all policies. With some settings of the device ``plugin``, a
        few built-in values are not policies.
        """
        self._not_offered = not_offered
        self._visible_devices = visible_devices
        self.configured = {name: self._completed(policy) for name, policy in (configured or {}).items()}
        self.defaults = defaults or NamespaceLabels()
        self._plugin = plugin or DevicePlugin()
        # Namespaces have few distinct sets of labels. Both caches are bounded, because users set labels.
        self.resolve = lru_cache(maxsize=1024)(self._resolve)
        self.select = lru_cache(maxsize=4096)(self._select)

    def _resolve(self, value: str) -> Policy | None:
        """The policy with this name, or ``None`` if there is none."""
        if value in self.configured:
            return self.configured[value]
        policy = built_in(value)
        if policy is None or self._ambiguous(policy):
            return None
        return self._completed(policy)

    def _completed(self, policy: Policy) -> Policy:
        if self._visible_devices is None and self._not_offered is None:
            return policy
        return msgspec.structs.replace(
            policy,
            visible_devices=policy.visible_devices or self._visible_devices,
            not_offered=policy.not_offered or self._not_offered,
        )

    @property
    def node_labels(self) -> frozenset[str]:
        """The node labels that configured policies select by."""
        return frozenset(key for policy in self.configured.values() for key, _ in policy.additions.node_selector)

    def _ambiguous(self, policy: Policy) -> str | None:
        return next(filter(None, (ambiguous(form, self._plugin) for form in policy.forms)), None)

    def nearest(self, value: str) -> str:
        """Return a message that the value is not a policy, with the most similar one."""
        policy = built_in(value)
        if policy and (why := self._ambiguous(policy)):
            return why
        if counted := _COUNT.search(value):
            possible = f"{value[: counted.start()]}{min(max(int(counted[0]), MINIMUM_CLIENTS), MAXIMUM_CLIENTS)}"
            if parse(possible):
                return f'"{value}" is not a policy; did you mean "{possible}"?'
        if close := alike(value, [*self.configured, *EXAMPLES]):
            return f'"{value}" is not a policy; did you mean "{close}"?'
        names = ", ".join(
            [*self.configured, "exclusive", "shared", "time-slicing", "mps", "mig-<profile>", "any", "none"]
        )
        return f'"{value}" is not a policy; use {names} or a gke-… form'

    def _select(self, labels: NamespaceLabels) -> NamespacePolicies:
        """The policies that a namespace's labels select.

        An invalid label never permits more: ``enforce`` then denies every GPU, and ``warn`` and ``audit`` count as ``any``.
        Mirrors k8s.io/pod-security-admission/api PolicyToEvaluate.
        """
        problems: list[LabelProblem] = []

        def read(key: str, value: str | None, default: str | None) -> Policy:
            value = value if value is not None else default if default is not None else ANY
            policy = self.resolve(value)
            if policy is not None:
                # "any" in the other labels reports nothing, whatever ``enforce`` permits.
                return ANY_POLICY if value == ANY and key != ENFORCE else policy
            message = self.nearest(value)
            problems.append(LabelProblem(f"metadata.labels[{key}]", value, message))
            return self._denying(value, f"label {key} can't be read ({message})") if key == ENFORCE else ANY_POLICY

        enforce = read(ENFORCE, labels.enforce, self.defaults.enforce)
        warn = read(WARN, labels.warn, self.defaults.warn)
        audit = read(AUDIT, labels.audit, self.defaults.audit)
        reported_by_enforce = labels.warn is None and (
            labels.enforce is not None or (warn is ANY_POLICY and enforce.permits_any)
        )
        plain_claims = any(policy.plain_claim for policy in (enforce, warn, audit))
        advise = enforce if reported_by_enforce else warn
        return NamespacePolicies(enforce, warn, audit, advise, tuple(problems), plain_claims)

    @property
    def has_limits(self) -> bool:
        """Whether any policy limits the number of GPUs: no built-in one does."""
        return any(policy.has_limits for policy in self.configured.values())

    @property
    def denies_reaching(self) -> bool:
        """Whether any policy denies pods that reach GPUs without requesting them."""
        said = (self._visible_devices, *(policy.visible_devices for policy in self.configured.values()))
        return FindingAction.DENY in said

    def _denying(self, value: str, why: str) -> Policy:
        """Return the policy that replaces an invalid one: no GPU, and no access without a request if any policy denies this."""
        strictest = FindingAction.DENY if self.denies_reaching else self._visible_devices
        return Policy(value, visible_devices=strictest, unreadable=why)


def alike(value: str, names: Iterable[str]) -> str | None:
    """Return the most similar name; for MIG profiles, only one with the same number of slices, because others differ in size."""
    slices = _SLICES.search(value.lower())
    possible = [name for name in names if not (slices and (other := _SLICES.search(name)) and other[0] != slices[0])]
    return next(iter(get_close_matches(value.strip().lower(), possible, n=1, cutoff=0.6)), None)


def built_in(value: str) -> Policy | None:
    """The policy that a built-in value names by itself (``any``, ``none``, ``mps``, ``gke-mig-1g.5gb`` …)."""
    if value == ANY:
        return ANY_POLICY
    if value == NONE:
        return NONE_POLICY
    form = parse(value)
    return None if form is None else Policy(value, (form,))


WITHOUT_PARAMETERS = ("exclusive", "shared", "time-slicing", "mps", "gke-exclusive")
"""Built-in values that name one form each, whole."""
EXAMPLES = (
    *(ANY, NONE, *WITHOUT_PARAMETERS),
    *(f"{kind}-{clients}" for kind in ("gke-time-sharing", "gke-mps") for clients in (2, 3, 4, 8, 16, 48)),
    *(f"{platform}mig-{profile}" for platform in ("", "gke-") for profile in DOCUMENTED),
    *(f"mig-{profile}-shared" for profile in DOCUMENTED),
)
"""Built-in values for suggestions and completion. Not all, because any profile and number of clients is valid."""
