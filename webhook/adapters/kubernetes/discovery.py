"""Discovery: the groups, versions and resources that an API server has."""

from functools import cached_property

import msgspec

from .api_request import path_of
from .errors import ApiError, Fault
from .lists import Api, get

_ABSENT = (Fault.FORBIDDEN, Fault.NOT_FOUND)


class UnknownKindsError(Exception):
    """The custom kinds of the cluster can't be determined; the message contains the reason."""


class _Version(msgspec.Struct):
    version: str


class _Group(msgspec.Struct, rename="camel"):
    name: str
    versions: list[_Version]
    preferred_version: _Version = msgspec.field(default_factory=lambda: _Version(""))


class _Groups(msgspec.Struct):
    groups: list[_Group] = []


class Resource(msgspec.Struct, frozen=True):
    """A resource of a group and version; ``name`` is its plural."""

    name: str
    kind: str = ""
    namespaced: bool = True
    verbs: tuple[str, ...] = ()


class ServedResources(msgspec.Struct):
    """The resources of a group and version."""

    resources: list[Resource] = []


class Discovery:
    """The groups, versions and resources of an API server; each group and version is requested once."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._resources: dict[tuple[str, str], list[Resource]] = {}

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """The versions of each group except the core group, the preferred one first.

        Raises:
            UnknownKindsError: the API server does not list its groups.
            ApiError: the server did not answer.
        """
        try:
            groups = get(self._api, path_of("apis"), _Groups).groups
        except ApiError as error:
            if error.fault is Fault.NOT_FOUND:
                return {}
            if error.fault is Fault.FORBIDDEN:
                raise UnknownKindsError(error.detail) from error
            raise
        return {
            group.name: sorted(
                (one.version for one in group.versions), key=lambda version: version != group.preferred_version.version
            )
            for group in groups
        }

    def resources(self, group: str, version: str) -> list[Resource]:
        """Return the resources of a version; none if it is no longer served, or can't be read.

        Raises:
            ApiError: the server did not answer, or the server of an aggregated API is down (``Fault.SERVER_ERROR``).
        """
        if (group, version) not in self._resources:
            try:
                found = get(self._api, path_of("apis", group, version), ServedResources).resources
            except ApiError as error:
                if error.fault not in _ABSENT:
                    raise
                found = []
            self._resources[group, version] = found
        return self._resources[group, version]
