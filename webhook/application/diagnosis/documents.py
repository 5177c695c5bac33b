"""The fields of the API's objects that a diagnosis reads, by their own names; everything else is skipped."""

import msgspec

from .selectors import Selector

Strings = dict[str, str] | None


class Metadata(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    labels: Strings = None
    annotations: Strings = None
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None


class Variable(msgspec.Struct, rename="camel"):
    """An environment variable; ``value_from`` is where its value comes from, if it is not written here."""

    name: str = ""
    value: str = ""
    value_from: dict[str, object] | None = None


class Container(msgspec.Struct):
    """A container: the fields that show the program and its settings."""

    name: str = ""
    image: str = ""
    command: list[str] | None = None
    args: list[str] | None = None
    env: list[Variable] | None = None

    def runs(self, program: str) -> bool:
        """Whether it runs a program, by its image, or by its name because a mirror may name images differently."""
        return program in self.image.rpartition("/")[2] or program in self.name

    def values(self, option: str) -> list[str]:
        """The values of an option on the command line, ``-name=value`` or ``--name value``; empty for a flag."""
        found = []
        words = [*(self.command or ()), *(self.args or ())]
        for index, word in enumerate(words):
            name, equals, value = word.partition("=")
            if name.startswith("-") and name.lstrip("-") == option:
                following = words[index + 1 : index + 2]
                found.append(value if equals or not following or following[0].startswith("-") else following[0])
        return found

    def setting(self, variable: str, option: str) -> Variable | None:
        """A setting by its environment variable, or by its option on the command line, which wins."""
        if values := self.values(option):
            return Variable(variable, values[0] or "true")
        return next((one for one in self.env or () if one.name == variable), None)


class ConfigMapSource(msgspec.Struct):
    name: str = ""


class Volume(msgspec.Struct, rename="camel"):
    config_map: ConfigMapSource | None = None


class PodSpec(msgspec.Struct, rename="camel"):
    containers: list[Container] | None = None
    volumes: list[Volume] | None = None
    service_account_name: str = "default"
    node_name: str = ""


class PodTemplateSpec(msgspec.Struct):
    metadata: Metadata = msgspec.field(default_factory=Metadata)
    spec: PodSpec = msgspec.field(default_factory=PodSpec)


class DeploymentSpec(msgspec.Struct):
    template: PodTemplateSpec
    selector: Selector
    replicas: int = 1


class DeploymentStatus(msgspec.Struct, rename="camel"):
    available_replicas: int = 0


class Deployment(msgspec.Struct):
    metadata: Metadata
    spec: DeploymentSpec
    status: DeploymentStatus = msgspec.field(default_factory=DeploymentStatus)

    def option(self, name: str) -> str | None:
        """The value of an option of ``gpuwarden serve``; empty for a flag, ``None`` if it isn't set."""
        return next(iter(self.options(name)), None)

    def options(self, name: str) -> list[str]:
        """The values of an option that can be repeated."""
        containers = self.spec.template.spec.containers or ()
        serving = [one for one in containers if (one.args or [])[:1] == ["serve"]]
        return serving[0].values(name.removeprefix("--")) if serving else []


class Condition(msgspec.Struct):
    type: str
    status: str


class WaitingState(msgspec.Struct):
    """Why a container does not run."""

    reason: str = ""


class ContainerState(msgspec.Struct):
    waiting: WaitingState | None = None


class ContainerStatus(msgspec.Struct, rename="camel"):
    state: ContainerState = msgspec.field(default_factory=ContainerState)


class PodStatus(msgspec.Struct, rename="camel"):
    phase: str = ""
    conditions: list[Condition] | None = None
    container_statuses: list[ContainerStatus] | None = None


class Pod(msgspec.Struct):
    metadata: Metadata
    spec: PodSpec = msgspec.field(default_factory=PodSpec)
    status: PodStatus = msgspec.field(default_factory=PodStatus)

    @property
    def ready(self) -> bool:
        """Whether it is ready and not about to end."""
        conditions = {condition.type: condition.status for condition in self.status.conditions or ()}
        return conditions.get("Ready") == "True" and self.metadata.deletion_timestamp is None

    @property
    def trouble(self) -> str:
        """Why it is not ready, in the API's words: ``ImagePullBackOff``, or the phase."""
        states = [status.state.waiting for status in self.status.container_statuses or ()]
        reasons = [waiting.reason for waiting in states if waiting]
        return ", ".join(reasons) or ("not ready" if self.status.phase == "Running" else self.status.phase)


class BudgetSpec(msgspec.Struct, rename="camel"):
    selector: Selector | None = None


class BudgetStatus(msgspec.Struct, rename="camel"):
    disruptions_allowed: int = 0
    current_healthy: int = 0
    expected_pods: int = 0


class Budget(msgspec.Struct):
    metadata: Metadata
    spec: BudgetSpec = msgspec.field(default_factory=BudgetSpec)
    status: BudgetStatus = msgspec.field(default_factory=BudgetStatus)


class ServicePort(msgspec.Struct):
    port: int
    name: str = ""


class ServiceSpec(msgspec.Struct):
    ports: list[ServicePort] | None = None


class Service(msgspec.Struct):
    metadata: Metadata
    spec: ServiceSpec


class EndpointConditions(msgspec.Struct):
    """The state of an endpoint; without ``ready`` it is ready (discovery/v1)."""

    ready: bool | None = None


class SliceEndpoint(msgspec.Struct):
    addresses: list[str]
    conditions: EndpointConditions = msgspec.field(default_factory=EndpointConditions)


class EndpointPort(msgspec.Struct):
    port: int | None = None
    name: str | None = None


class EndpointSlice(msgspec.Struct):
    metadata: Metadata
    endpoints: list[SliceEndpoint] | None = None
    ports: list[EndpointPort] | None = None

    def ready(self, port_name: str) -> list[tuple[str, int]]:
        """Addresses and ports of the ready endpoints, for a Service's port."""
        ports = [port.port for port in self.ports or () if port.port and (port.name or "") == port_name]
        ready = [one for one in self.endpoints or () if one.conditions.ready is not False]
        return [(address, port) for one in ready for address in one.addresses for port in ports]


class Probed(msgspec.Struct):
    """A pod as a dry run would have created it."""

    metadata: Metadata
