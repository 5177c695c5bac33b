"""The workloads of a cluster that request GPUs, for recommendations: pods and their programs, by top-level controller."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from ...application.auditing import Owner, WorkloadObject
from ...application.configuration import Configuration
from ...application.recommendation.claimed import ClaimedGpus, gpus_claimed
from ...application.recommendation.placement import NamedNode, Placement
from ...application.recommendation.servers import ServerProgram, is_read, recognise, without_address
from ...application.recommendation.templates import PodTemplate, reduced
from ...application.recommendation.workloads import LivePod, Workload
from ...application.workload_kinds import BUILT_IN
from ...engine.claims import Claims, references
from ...engine.claims import read as read_claims
from ...engine.decision import decide
from ...engine.forms import Form
from ...engine.pods import Container, Metadata, Pod, PodSpec
from ...engine.pods import containers as all_containers
from ...engine.policy import ANY_POLICY
from ...engine.requests import GpuContainer, read
from ...engine.resources import GPU
from ...engine.text import first_of
from .api_request import path_of
from .audit_reader import AuditReader, FoundClaims, UnreadList
from .lists import Api, Lister, Page
from .owner_chains import ControlledMetadata, Links, OwnerChains, chain

_ENDED = frozenset({"Succeeded", "Failed"})
_BUILT_IN = frozenset(row.kind for row in BUILT_IN)
_SHOWN = 5
_CONTROLLERS = tuple(row for row in BUILT_IN if not row.is_pod and not row.passive)


class _Container(Container, rename="camel"):
    image: str | None = None
    command: list[str] | None = None
    args: list[str] | None = None

    def program(self, arguments: dict[tuple[str, ...], int]) -> ServerProgram:
        """The program of a container; ``arguments`` maps each list of arguments to the number that is kept instead of it."""
        words = [*(self.command or ()), *(self.args or ())]
        variables = {
            one.name: one.value if isinstance(one.value, str) else ""
            for one in self.env or ()
            if one.name and is_read(one.name)
        }
        found = recognise(self.image or "", words, variables)
        written = (*without_address(words), *sorted(f"{name}={value}" for name, value in variables.items()))
        number = arguments.setdefault(written, len(arguments)) if found.model else 0
        return msgspec.structs.replace(found, arguments=number)


class _Spec(PodSpec, rename="camel"):
    containers: list[_Container] | None = None  # type: ignore[assignment]  # a container with more fields
    init_containers: list[_Container] | None = None  # type: ignore[assignment]


class _Status(msgspec.Struct, rename="camel"):
    phase: str = ""
    start_time: str | None = None


class _PodMetadata(ControlledMetadata, rename="camel"):
    annotations: dict[str, str] | None = None


class _PodItem(msgspec.Struct):
    metadata: _PodMetadata
    spec: _Spec
    status: _Status = msgspec.field(default_factory=_Status)

    def live(self, gpus: int) -> LivePod:
        started = self.status.start_time
        seconds = datetime.fromisoformat(started).timestamp() if started else 0
        return LivePod(self.metadata.name, seconds, self.status.phase in _ENDED, gpus)


class _Requested(msgspec.Struct, frozen=True):
    """The requests of a pod.

    Attributes:
        unreachable: forms and GPU models only on nodes where it may not run.
    """

    words: tuple[str, ...]
    gpus: int
    form: str
    programs: tuple[ServerProgram, ...]
    claimed: ClaimedGpus | None
    exempt: str
    unreachable: tuple[tuple[str, str], ...]
    template: PodTemplate


class _Kept(msgspec.Struct, frozen=True):
    """The parts of a pod or template with GPU requests that are kept."""

    namespace: str
    owner: Owner
    requested: _Requested
    pod: LivePod | None


class GpuWorkloads:
    """Reads the workloads of a cluster.

    Args:
        api: the API server.
        lister: reads lists.
        reader: reads the kinds that have templates, and claims.
        configuration: the device plugin's names, DeviceClasses and more kinds.
        nodes: those with GPUs: which form a pod has there, and on which it may run.
    """

    def __init__(
        self, api: Api, lister: Lister, reader: AuditReader, configuration: Configuration, nodes: Sequence[NamedNode]
    ) -> None:
        self._lister, self._reader = lister, reader
        self._shapes = {node.name: node.shape for node in nodes}
        self._placement = Placement(nodes)
        platforms = {form.platform for node in nodes for form in node.shape.forms.values()}
        self._whole = Form(platform=platforms.pop()) if len(platforms) == 1 else Form()
        """The form of a plain request before it has a node."""
        self._configuration = configuration
        self._chains = OwnerChains(api, lister, configuration.kinds, self._keep_template)
        self._templates: list[_Kept] = []
        """Templates of objects of operators' kinds, and of built-in ones that they control."""
        self._claims = FoundClaims({}, [])
        self._unknown: dict[str, None] = {}
        self._arguments: dict[tuple[str, ...], int] = {}
        self._known: dict[bytes, PodTemplate] = {}
        """Each template once, by its content: most pods are alike."""
        self.notes: list[str] = []
        """What could not be read, and why."""
        self.tops: dict[tuple[str, str, str], tuple[str, str]] = {}
        """The kind and name of a workload, by the namespace, kind and name of an object between it and its pods."""

    def read(self, namespaces: Sequence[str]) -> list[Workload]:
        """Return the workloads in these namespaces, or (if none is named) in all.

        Raises:
            ApiError: pods can't be listed.
        """
        self._claims = self._reader.claims(namespaces)
        self._configuration = self._configuration.with_classes(self._claims.classes)
        links: Links = {}
        pods = [kept for namespace in namespaces or (None,) for kept in self._pods(namespace, links)]
        templates: list[_Kept] = []
        self._templates = []

        def keep(workload: WorkloadObject) -> WorkloadObject | None:
            if workload.owner:
                links[workload.namespace, *workload.key] = workload.owner
                if workload.pod and not workload.owner.is_workload:
                    owner = Owner(workload.api_version, workload.kind, workload.name)
                    self._keep_template(workload.namespace, owner, workload.pod)
            elif not workload.over and workload.pod and workload.pod.spec:
                owner = Owner(workload.api_version, workload.kind, workload.name)
                templates.extend(self._template(workload.namespace, owner, workload.pod))
            return None

        for unread in self._reader.workloads(namespaces, keep, _CONTROLLERS):
            if isinstance(unread, UnreadList) and unread.served:
                self.notes.append(
                    f"{unread.what} are not read, so their pods may be counted separately: {unread.detail}"
                )
        self._chains.follow(((one.namespace, one.owner) for one in pods), links, namespaces)
        self.notes += self._chains.notes
        if self._unknown or self._claims.known:
            self.notes += self._claims.notes
        if self._unknown:
            self.notes.append(
                f"claims (DRA) that are not known, and may be for GPUs, are not evaluated: {first_of([*self._unknown], _SHOWN)}"
            )
        found = _by_top((*pods, *templates), links)
        _set_templates(found, pods, links)
        _set_templates(found, (*templates, *self._templates), links)
        self.tops = _tops(links, found)
        return list(found.values())

    def _keep_template(self, namespace: str, owner: Owner, pod: Pod) -> None:
        self._templates.extend(self._template(namespace, owner, pod))

    def _template(self, namespace: str, owner: Owner, pod: Pod) -> Iterator[_Kept]:
        if pod.spec and (requested := self._requested(pod, namespace, owner)):
            yield _Kept(namespace, owner, requested, None)

    def _pods(self, namespace: str | None, links: Links) -> list[_Kept]:
        within = ("namespaces", namespace) if namespace else ()

        def keep(item: _PodItem) -> _Kept | None:
            metadata = item.metadata
            itself = Owner("v1", "Pod", metadata.name)
            owner = metadata.owner or itself
            written = Pod(Metadata(annotations=metadata.annotations), item.spec)
            requested = self._requested(written, metadata.namespace, owner, is_pod=True)
            if requested is None:
                return None
            if metadata.owner:
                links[metadata.namespace, *itself.key] = owner  # a leader controls the StatefulSet of its workers
            return _Kept(metadata.namespace, owner, requested, item.live(requested.gpus))

        return self._lister.all("pods", path_of("api", "v1", *within, "pods"), Page[_PodItem], keep)

    def _requested(self, pod: Pod, namespace: str, owner: Owner, *, is_pod: bool = False) -> _Requested | None:
        """What a pod requests; ``None`` if it requests no form of GPU."""
        spec = pod.spec
        assert spec  # noqa: S101 - pods without one are not passed
        every = read(spec, self._configuration.names)
        found = self._claims_of(spec, every, namespace, owner)
        claims = gpus_claimed(found)
        containers = [one for one in every if one.amounts]
        counted = (
            list(decide(Pod(spec=spec), ANY_POLICY, self._configuration.plugin).requested(spec)) if containers else []
        )
        if not counted and not claims:
            return None
        words, number, form = (claims.words, claims.gpus, claims.form) if claims else ((), 0, "")
        if counted:
            shape = self._shapes.get(spec.node_name or "")
            own_form = counted[0][0]
            without_node = self._whole if own_form == Form() else own_form
            own = shape.forms.get(containers[0].amounts[0].resource.name, own_form) if shape else without_node
            form = str(own.as_listed)
            words = (*dict.fromkeys(str(amount) for one in containers for amount in one.amounts), *words)
            number += sum(count for _, count in counted)
            is_whole = not (own_form.partition or own_form.shared)
            if is_pod and is_whole and all(one.amounts[0].resource.name == GPU for one in containers):
                # A policy may have written its node selectors: with renameByDefault: false, and under MIG strategy single, it
                # writes those of whole GPUs into plain requests.
                pod = Pod(pod.metadata, msgspec.structs.replace(spec, node_selector=None, affinity=None))
        # A pod that has a node bypasses schedulers; before it had one, it was exempt or not.
        scheduled = Pod(spec=msgspec.structs.replace(spec, node_name=None))
        exempt = self._configuration.exemptions.of_pod(scheduled) or ""
        programs = self._programs(spec, containers if counted else None)
        unreachable = self._placement.unreachable(spec)
        template = reduced(pod, found, self._configuration.names)
        template = self._known.setdefault(msgspec.json.encode(template), template)
        return _Requested(words, number, form, programs, claims, exempt, unreachable, template)

    def _claims_of(self, spec: PodSpec, containers: Sequence[GpuContainer], namespace: str, owner: Owner) -> Claims:
        known = {
            one: self._claims.known[namespace, one]
            for one in references(spec)
            if (namespace, one) in self._claims.known
        }
        found = read_claims(spec, containers, known, self._configuration.classes)
        for entry in (*found.unknown, *found.missing):
            self._unknown[f"{entry.name} of {owner.kind} {namespace}/{owner.name}"] = None
        return found

    def _programs(self, spec: PodSpec, gpu_containers: Sequence[GpuContainer] | None) -> tuple[ServerProgram, ...]:
        """The programs of ``gpu_containers``, or if that is ``None``, of the containers that use a claim."""
        if gpu_containers is None:
            every = [one for _, _, one in all_containers(spec) if one.resources and one.resources.claims]
        else:
            every = [one.container for one in gpu_containers]
        programs = (one.program(self._arguments) for one in every if isinstance(one, _Container))
        return tuple(dict.fromkeys(one for one in programs if one != ServerProgram()))


def _kind(owner: Owner) -> str:
    """The kind of an owner for messages, with its group if Kubernetes itself has a kind of that name."""
    return owner.key[0] if owner.kind in _BUILT_IN else owner.kind


def _by_top(kept: Iterable[_Kept], links: Links) -> dict[tuple[str, str, str], Workload]:
    """The workloads: pods and templates by the object that a user created."""
    found: dict[tuple[str, str, str], Workload] = {}
    for one in kept:
        owners = chain(one.owner, one.namespace, links)
        top = owners[-1]
        workload = found.get((one.namespace, *top.key))
        if workload is None:
            # Volcano's Job has the name of one of Kubernetes' own kinds.
            workload = Workload(one.namespace, _kind(top), top.name)
            _set_requests(workload, one.requested)
            found[one.namespace, *top.key] = workload
        between = (_kind(each) for each in owners[:-1])
        workload.between = tuple(dict.fromkeys((*workload.between, *between)))
        workload.unreachable = tuple(sorted({*workload.unreachable, *one.requested.unreachable}))
        if one.pod:
            _add(workload, one)
    return found


def _set_templates(found: Mapping[tuple[str, str, str], Workload], kept: Iterable[_Kept], links: Links) -> None:
    """Set the templates of workloads that have any of these.

    Objects that have no pods are not workloads here: most of them have ended.
    """
    templates: dict[tuple[str, str, str], dict[int, PodTemplate]] = {}
    for one in sorted(kept, key=lambda one: -one.requested.gpus):
        key = one.namespace, *chain(one.owner, one.namespace, links)[-1].key
        templates.setdefault(key, {})[id(one.requested.template)] = one.requested.template
    for key in templates.keys() & found.keys():
        found[key].templates = (*templates[key].values(),)


def _set_requests(workload: Workload, requested: _Requested) -> None:
    """Set a workload's requests to those of one of its pods."""
    workload.requests, workload.gpus, workload.form, workload.programs = (
        requested.words,
        requested.gpus,
        requested.form,
        requested.programs,
    )
    workload.exempt = requested.exempt
    workload.claimed = requested.claimed is not None
    workload.not_evaluated = requested.claimed.not_evaluated if requested.claimed else ""


def _add(workload: Workload, one: _Kept) -> None:
    """Add a pod. If pods of one workload differ (a launcher and its workers), the one with the most GPUs is used."""
    assert one.pod  # noqa: S101 - templates have none
    workload.pods.append(one.pod)
    programs = tuple(dict.fromkeys((*workload.programs, *one.requested.programs)))
    if one.requested.gpus > workload.gpus:
        _set_requests(workload, one.requested)
    workload.programs = programs


def _tops(links: Links, found: Mapping[tuple[str, str, str], Workload]) -> dict[tuple[str, str, str], tuple[str, str]]:
    """Kind and name of the workloads that objects between them and their pods belong to."""
    result = {}
    for (namespace, kind, name), owner in links.items():
        top = chain(owner, namespace, links)[-1]
        if (namespace, *top.key) in found:
            result[namespace, kind.partition(".")[0], name] = _kind(top), top.name
    return result
