"""The fields of the configuration file, and the checks of each section on its own."""

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeInt,
    PositiveInt,
    Tag,
    model_validator,
)
from pydantic.alias_generators import to_camel

from ...application.configuration import DEFAULT_EXEMPTIONS, Mode
from ...application.workload_kinds import Template, WorkloadKind, table
from ...engine.device_classes import BY_PROFILE
from ...engine.forms import Form, parse
from ...engine.pods import Toleration
from ...engine.policy import (
    ANY,
    NONE,
    ClaimForm,
    FindingAction,
    Mismatch,
    Policy,
    PolicyAdditions,
    PolicyBook,
    Prefer,
    built_in,
    rejects_more_than_one,
)
from ...engine.spelling import DevicePlugin, MigStrategy, shares
from ..shown import shown
from .kubernetes_names import (
    ClaimTemplateName,
    DeviceClassName,
    EnvName,
    ExactName,
    FieldPath,
    Group,
    Kind,
    LabelKey,
    LabelValue,
    NamespaceName,
    Plural,
    PolicyName,
    ProductName,
    ResourceName,
    RuntimeClass,
    RuntimeClassName,
    UserName,
    Version,
)

_BUILT_IN = PolicyBook()


def _listed_form(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not a form; write one as text, such as mig-1g.5gb")  # noqa: TRY004 - pydantic collects ValueError
    if built_in(value) is None:
        raise ValueError(_BUILT_IN.nearest(value))
    return value


def _expected_form(value: object) -> str:
    name = _listed_form(value)
    if name in (ANY, NONE):
        raise ValueError(
            f'"{name}" is not a form; list the forms that an autoscaler can add nodes for, such as mig-1g.5gb'
        )
    return name


_FormName = Annotated[str, BeforeValidator(_listed_form)]

_FindingAction = Annotated[FindingAction, Field(strict=False)]


class _Section(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)


class TolerationSection(_Section):
    """A toleration, as in a pod."""

    key: LabelKey | None = Field(None, description="The key of the taint; not set: every taint.")
    operator: Literal["Exists", "Equal"] | None = Field(None, description="Not set: Equal.")
    value: str | None = Field(None, description="The value of the taint, with Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="The effect of the taint; not set: every effect."
    )
    toleration_seconds: NonNegativeInt | None = Field(None, description="With NoExecute: how long the pod stays.")

    @model_validator(mode="after")
    def _is_one(self) -> "TolerationSection":
        """As k8s.io/kubernetes pkg/apis/core/validation ValidateTolerations."""
        if self.operator != "Exists" and not self.key:
            raise ValueError(
                "key is missing; name the key of a taint, or write operator: Exists to tolerate every taint"
            )
        if self.operator == "Exists" and self.value:
            raise ValueError(
                f"value: {shown(self.value)} needs operator: Equal, but operator is Exists; remove one of them"
            )
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise ValueError(
                f"tolerationSeconds: {self.toleration_seconds} needs effect: NoExecute; remove tolerationSeconds, or write "
                "effect: NoExecute"
            )
        return self

    def toleration(self) -> Toleration:
        """The engine's value."""
        return Toleration(self.key, self.operator, self.value, self.effect, self.toleration_seconds)


class ClaimFormSection(_Section):
    """A form that pods get by a claim (DRA): its template, in the pod's namespace, and the class that it claims."""

    claim_template: ClaimTemplateName = Field(description="The ResourceClaimTemplate, in the namespace of the pod.")
    device_class: DeviceClassName = Field(description="The DeviceClass that the template claims.")

    def form(self) -> ClaimForm:
        """The engine's value."""
        return ClaimForm(self.claim_template, self.device_class)


def _kind_of_form(value: object) -> str:
    return CLAIM_FORM if isinstance(value, dict | ClaimFormSection) else NAMED_FORM


# What pydantic adds to the location of an error in a form.
NAMED_FORM, CLAIM_FORM = "[form]", "[claim]"
_PermittedForm = Annotated[
    Annotated[_FormName, Tag(NAMED_FORM)] | Annotated[ClaimFormSection, Tag(CLAIM_FORM)], Discriminator(_kind_of_form)
]


class PolicySection(_Section):
    """One policy."""

    forms: Annotated[list[_PermittedForm], Field(min_length=1)] = Field(
        description="Permitted forms, built-in names or claims (DRA); a plain request becomes the first."
    )
    mismatch: Annotated[Mismatch, Field(strict=False)] = Field(
        Mismatch.REJECT,
        description="An explicit request for another form is denied (reject), or becomes the first form (rewrite).",
    )
    max_per_container: PositiveInt | None = Field(
        None, description="The maximum number of GPUs that a container may request."
    )
    max_per_pod: PositiveInt | None = Field(None, description="The maximum number of GPUs that a pod may request.")
    node_selector: dict[LabelKey, LabelValue] = Field({}, description="Node selectors added to pods with GPUs.")
    tolerations: list[TolerationSection] = Field([], description="Tolerations added to pods with GPUs.")
    runtime_class_name: RuntimeClass | None = Field(None, description="The runtime class set in pods with GPUs.")
    env: dict[EnvName, str] = Field({}, description="Environment variables added to containers with GPUs.")
    visible_devices: _FindingAction | None = Field(
        None, description="Overrides the file's visibleDevices for this policy."
    )
    admin_access: bool = Field(default=False, description="Whether claims (DRA) may have adminAccess.")
    not_offered: _FindingAction | None = Field(None, description="Overrides the file's notOffered for this policy.")
    prefer: Annotated[Prefer, Field(strict=False)] = Field(
        Prefer.FIRST,
        description="What a plain request becomes: the first form, the first form that nodes offer (offered), or the first MIG "
        "slice with the memory of the pod's annotation gpuwarden.io/gpu-memory (memory).",
    )

    @model_validator(mode="after")
    def _means_something(self) -> "PolicySection":
        if len(self.forms) > 1 and {ANY, NONE} & set(self.named):
            listed = ", ".join(str(form.form()) if isinstance(form, ClaimFormSection) else form for form in self.forms)
            raise ValueError(f"forms: [{listed}] mixes any or none with other forms; remove one of them")
        if self.prefer is Prefer.OFFERED and self.plain_claim:
            raise ValueError(
                "prefer: offered chooses among forms by name, and a claim is listed first; list a form by name first, or "
                "remove prefer"
            )
        if self.mismatch is Mismatch.REWRITE and self.plain_claim:
            raise ValueError(
                "mismatch: rewrite changes other requests to the first form, which can't be a claim; list a form by name first, "
                "or remove mismatch"
            )
        forms = self.parsed
        if self.prefer is Prefer.MEMORY and (
            self.claims or not forms or any(form.shared or not form.partition for form in forms)
        ):
            raise ValueError(
                "prefer: memory selects MIG slices by their memory, and forms lists something else; list only forms such as "
                "mig-1g.10gb, or remove prefer"
            )
        if self.max_per_container and self.max_per_container > 1 and forms and all(map(rejects_more_than_one, forms)):
            raise ValueError(
                f"maxPerContainer: {self.max_per_container} cannot be met, because GKE denies more than 1 GPU per container for "
                "time-sharing; remove it"
            )
        sharing = [key for key, value in self.node_selector.items() if shares(key, value)]
        if sharing and self.forms == [ANY] and self.max_per_container is None:
            raise ValueError(
                f"nodeSelector[{sharing[0]}] selects nodes that share GPUs, where a request above 1 is denied, and forms: [any] "
                "permits whole GPUs; list the shared form in forms, remove the label, or set maxPerContainer"
            )
        return self

    @property
    def named(self) -> list[str]:
        """The forms that are listed by name, in order."""
        return [form for form in self.forms if isinstance(form, str)]

    @property
    def claims(self) -> tuple[ClaimForm, ...]:
        """The claims that are listed, in order."""
        return tuple(form.form() for form in self.forms if isinstance(form, ClaimFormSection))

    @property
    def plain_claim(self) -> ClaimForm | None:
        """The claim that is listed before every form."""
        return None if isinstance(self.forms[0], str) else self.claims[0]

    @property
    def parsed(self) -> tuple[Form, ...]:
        """The forms that are listed by name; none for ``any`` and ``none``."""
        policies = [built_in(form) for form in self.named]
        return tuple(form for policy in policies if policy for form in policy.forms)

    def policy(self, name: str) -> Policy:
        """The engine's value."""
        return Policy(
            name,
            self.parsed,
            self.claims,
            self.plain_claim,
            permits_any=self.forms == [ANY],
            mismatch=self.mismatch,
            max_per_container=self.max_per_container,
            max_per_pod=self.max_per_pod,
            additions=PolicyAdditions(
                node_selector=tuple(self.node_selector.items()),
                tolerations=tuple(section.toleration() for section in self.tolerations),
                runtime_class_name=self.runtime_class_name,
                env=tuple(self.env.items()),
            ),
            visible_devices=self.visible_devices,
            admin_access=self.admin_access,
            not_offered=self.not_offered,
            prefer=self.prefer,
        )


class DefaultsSection(_Section):
    """The policies of namespaces without a label."""

    enforce: str = Field(ANY, description="The policy of namespaces without the label gpuwarden.io/enforce.")
    warn: str = Field(ANY, description="Likewise for gpuwarden.io/warn.")
    audit: str = Field(ANY, description="Likewise for gpuwarden.io/audit.")


class DevicePluginSection(_Section):
    """The NVIDIA device plugin's settings, by their own names, and the GPU models that it serves with MIG."""

    rename_by_default: bool = Field(
        default=True,
        description="The sharing setting of the same name: whether shared GPUs are called nvidia.com/gpu.shared.",
    )
    mig_strategy: Annotated[MigStrategy, Field(strict=False)] = Field(
        MigStrategy.MIXED,
        description="mixed (slices are nvidia.com/mig-<profile>) or single (slices are nvidia.com/gpu), as on the nodes.",
    )
    products: list[ProductName] = Field(
        [],
        description="Under single: GPU models with MIG, as in the label nvidia.com/gpu.product, without -MIG-<profile>.",
    )

    @model_validator(mode="after")
    def _goes_together(self) -> "DevicePluginSection":
        if self.products and self.mig_strategy is not MigStrategy.SINGLE:
            raise ValueError(
                "products is set, but is read with migStrategy: single only; remove products, or set migStrategy as on the nodes"
            )
        return self


class GkeSection(_Section):
    """The settings of the cluster on GKE."""

    autopilot: bool = Field(
        default=False, description="Whether the cluster is GKE Autopilot, which permits node affinity on few labels."
    )


class FleetSection(_Section):
    """Facts about the nodes that the nodes themselves do not show."""

    expected: list[Annotated[str, BeforeValidator(_expected_form)]] = Field(
        [], description="Forms that an autoscaler adds nodes for: they count as offered."
    )


class ExemptionsSection(_Section):
    """The exemptions."""

    namespaces: list[NamespaceName] = Field(
        sorted(DEFAULT_EXEMPTIONS.namespaces), description="Namespaces that are skipped."
    )
    usernames: list[UserName] = Field([], description="Users whose requests are skipped.")
    runtime_classes: list[RuntimeClassName] = Field([], description="Runtime classes whose pods are skipped.")
    schedulers: list[ExactName] = Field(
        sorted(DEFAULT_EXEMPTIONS.schedulers),
        description="Schedulers that interpret GPU requests in their own way; their pods are skipped.",
    )


class ResourcesSection(_Section):
    """Resources that hand out GPUs besides the known ones, and those that do not."""

    gpus: list[ResourceName] = Field(
        [], description="Further resources that hand out GPUs: names, or prefixes that end in *."
    )
    not_gpus: Annotated[list[ResourceName], Field(alias="notGPUs")] = Field(
        [], description="Resources that would count as GPUs and are not."
    )

    @model_validator(mode="after")
    def _agree(self) -> "ResourcesSection":
        if both := sorted({*self.gpus} & {*self.not_gpus}):
            names = ", ".join(map(shown, both))
            raise ValueError(f"{names} is listed in gpus and in notGPUs; remove it from one of them")
        return self


def _form_of_class(value: str) -> str:
    if value != BY_PROFILE and parse(value) is None:
        raise ValueError(
            f'"{value}" is not a form; write one such as exclusive or mig-1g.5gb, or "{BY_PROFILE}" for MIG slices whose '
            "profile the selectors of a claim name"
        )
    return value


class ClaimsSection(_Section):
    """Claims of devices (DRA): the form in which each DeviceClass hands out GPUs, besides NVIDIA's own."""

    device_classes: dict[DeviceClassName, Annotated[str, AfterValidator(_form_of_class)]] = Field(
        {}, description="The form in which each DeviceClass hands out GPUs, besides NVIDIA's own."
    )


class TemplateSection(_Section):
    """The place of pods in objects of a kind."""

    path: FieldPath = Field(description="The path to the pod's spec or template.")
    replicas: list[FieldPath] = Field([], description="Paths to numbers whose product is the number of pods.")


class WorkloadKindSection(_Section):
    """A kind whose objects describe pods."""

    group: Group = Field(description="The API group.")
    versions: Annotated[list[Version], Field(min_length=1)] = Field(description="Its versions.")
    kind: Kind = Field(description="The kind.")
    plural: Plural = Field(description="The plural, as in the API's paths.")
    templates: list[TemplateSection] = Field([], description="The places of pods.")
    resources: list[FieldPath] = Field([], description="Paths to resources without a pod template.")
    suspend: FieldPath | None = Field(None, description="The path to the field that suspends the workload.")
    intermediate: bool = Field(default=False, description="Whether other kinds create these objects.")
    passive: bool = Field(default=False, description="Whether such an object creates no pods by itself.")
    cluster_scoped: bool = Field(default=False, description="Whether the objects are in no namespace.")
    note: str = Field("", description="The note on the kind in the reference.")

    @model_validator(mode="after")
    def _is_a_row(self) -> "WorkloadKindSection":
        table([self.row])
        return self

    @property
    def row(self) -> WorkloadKind:
        """The row of the table."""
        return WorkloadKind(
            self.group,
            tuple(self.versions),
            self.kind,
            self.plural,
            tuple(Template(one.path, tuple(one.replicas)) for one in self.templates),
            tuple(self.resources),
            self.suspend or "",
            intermediate=self.intermediate,
            passive=self.passive,
            cluster_scoped=self.cluster_scoped,
            note=self.note,
        )


class ConfigurationFile(_Section):
    """The file."""

    api_version: Literal["gpuwarden.io/v1"] = Field(description="The version of this format.")
    kind: Literal["Configuration"] = Field(description="The kind of this file.")
    mode: Annotated[Mode, Field(strict=False)] = Field(
        Mode.ENFORCE, description="enforce, or audit: a dry run of the whole cluster."
    )
    visible_devices: _FindingAction | None = Field(
        None,
        description="Pods that reach GPUs without a request: ignore, warn or deny. Not set: warn, under any: ignore.",
    )
    not_offered: _FindingAction | None = Field(
        None, description="Pods that no node can run: ignore, warn or deny. Not set: warn."
    )
    fleet: FleetSection = Field(FleetSection(), description="Facts about nodes.")
    device_plugin: DevicePluginSection = Field(
        DevicePluginSection(), description="Settings of the NVIDIA device plugin, by its names."
    )
    gke: GkeSection = Field(GkeSection(), description="Settings of GKE.")
    defaults: DefaultsSection = Field(DefaultsSection(), description="The policies of namespaces without a label.")
    policies: dict[PolicyName, PolicySection] = Field(
        {}, description="Policies by name. Labels and defaults name them."
    )
    exemptions: ExemptionsSection = Field(
        ExemptionsSection(), description="What gpuwarden skips. A list replaces the whole default."
    )
    resources: ResourcesSection = Field(
        ResourcesSection(), description="Resources that hand out GPUs besides the known ones, and those that do not."
    )
    claims: ClaimsSection = Field(ClaimsSection(), description="Claims of devices (DRA).")
    workload_kinds: list[WorkloadKindSection] = Field([], description="Further kinds whose objects describe pods.")

    @property
    def plugin(self) -> DevicePlugin:
        """The settings of the device plugins, as the engine's value."""
        section = self.device_plugin
        return DevicePlugin(
            section.rename_by_default, section.mig_strategy, tuple(section.products), gke_autopilot=self.gke.autopilot
        )
