"""``gpuwarden serve --watch-in-tree`` on a real API server: changes by hand are in metric, ``/readyz`` and log until healed."""

import json
import math
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Chart
from tests.e2e.admission_policies import path_of
from tests.e2e.fleet import MERGE_PATCH
from tests.e2e.gpuwarden import Replica
from tests.e2e.installation import CONFIGURATION_KINDS, Installation, configuration_path, render
from tests.e2e.objects import replace
from tests.e2e.test_doctor import doctor
from webhook.adapters.configuration.file import parse
from webhook.application.in_tree_compiler import ANNOTATION, compiled
from webhook.application.in_tree_webhooks import NOT_CALLED_YET, beside
from webhook.cli.in_tree_source import INTERVAL

pytestmark = pytest.mark.e2e

Json = dict[str, Any]
VALUES = {"inTree": {"enabled": True}}
AGAIN = "the admission policies are those of the configuration again"
MUTATING, VALIDATING = "mutatingadmissionpolicies", "validatingadmissionpolicies"
API = "/apis/admissionregistration.k8s.io/v1"
FINE = (0.0, "as the configuration has them")
SOON, A_MINUTE = 60.0, INTERVAL + 60
CLUSTER_ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/gpuwarden"


@pytest.fixture(scope="module")
def installed(
    control_plane: ControlPlane, chart: Chart, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """Gpuwarden with the chart's admission policies, watched by one replica."""
    directory = tmp_path_factory.mktemp("watching")
    with Installation(control_plane, chart, directory, values=VALUES) as running:
        wait_for("the policies to be compared", lambda: told(running.replicas[0]) == FINE)
        yield running


def told(replica: Replica) -> tuple[float, str]:
    """The gauge, and what ``/readyz`` says: which stays ready, because the webhooks decide by the configuration."""
    answer = httpx.get(f"http://127.0.0.1:{replica.ops_port}/readyz", timeout=30.0, trust_env=False)
    (part,) = [part for part in answer.json()["parts"] if part["name"] == "in-tree"]
    assert (answer.status_code, part["ready"]) == (httpx.codes.OK, True)
    return replica.metric("gpuwarden_in_tree_outdated"), str(part["message"])


class Log:
    """What a replica has logged since this was made."""

    def __init__(self, replica: Replica) -> None:
        self._file = replica.home / "log"
        self._before = len(self._file.read_text())

    @property
    def text(self) -> str:
        """The new lines."""
        return self._file.read_text()[self._before :]

    def wait_for(self, *words: str) -> None:
        """Wait for words: a line is written after the gauge and ``/readyz`` have changed."""
        for each in words:
            wait_for(f"{each!r} in the log", lambda each=each: each in self.text)  # type: ignore[misc]  # mypy can't infer a lambda's default


def compare_now(replica: Replica) -> None:
    """Let it load its configuration again, as after a change: it then compares without waiting for the minute to end."""
    file = replica.home / "config.yaml"
    new = replica.home / "config.yaml.new"
    new.write_text(f"{file.read_text()}# once more\n")
    new.rename(file)


def wait_until_reported(replica: Replica, log: Log, number: int, *names: str, seconds: float = SOON) -> None:
    """Wait until differences are in gauge and ``/readyz``; each object is named in the log."""
    differ = (
        "policy or binding in the API server differs"
        if number == 1
        else "policies and bindings in the API server differ"
    )
    message = f"{number} admission {differ} from the configuration in use"
    wait_for("the difference to be reported", lambda: told(replica) == (1.0, message), seconds)
    log.wait_for(message, *names)
    assert AGAIN not in log.text


def wait_until_healed(replica: Replica, log: Log, seconds: float = SOON) -> None:
    """Wait until all is as it was; the log says so once."""
    wait_for("the end to be reported", lambda: told(replica) == FINE, seconds)
    log.wait_for(AGAIN)
    assert log.text.count(AGAIN) == 1


def cleaned(document: Json) -> Json:
    """A document of the API server's, to be created again."""
    metadata = {key: value for key, value in document["metadata"].items() if key in {"name", "annotations", "labels"}}
    return {key: document[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": metadata}


def edited(document: Json) -> Json:
    """A policy whose CEL someone has edited."""
    copied: Json = json.loads(json.dumps(document))
    copied["spec"]["matchConditions"][0]["expression"] = "true"
    return copied


def reporting_only(document: Json) -> Json:
    """A binding that someone has switched to reports."""
    return {**document, "spec": {**document["spec"], "validationActions": ["Audit"]}}


def test_what_is_changed_by_hand_is_reported_until_it_is_healed(
    control_plane: ControlPlane, installed: Installation
) -> None:
    (replica,) = installed.replicas
    log, api = Log(replica), control_plane.api
    policy, binding, gone = (
        f"{API}/{MUTATING}/gpuwarden-shared",
        f"{API}/validatingadmissionpolicybindings/gpuwarden-mps",
        f"{API}/{VALIDATING}/gpuwarden-none",
    )
    kept = {path: control_plane.get(path) for path in (policy, binding, gone)}
    api.put(policy, json=edited(kept[policy])).raise_for_status()
    api.put(binding, json=reporting_only(kept[binding])).raise_for_status()
    api.delete(gone).raise_for_status()
    wait_until_reported(
        replica,
        log,
        3,
        "MutatingAdmissionPolicy gpuwarden-shared differs from what",
        "ValidatingAdmissionPolicyBinding gpuwarden-mps differs from what",
        "ValidatingAdmissionPolicy gpuwarden-none is missing",
        seconds=A_MINUTE,
    )
    for path in (policy, binding):
        replace(control_plane, path, lambda found, path=path: {**found, "spec": kept[path]["spec"]})  # type: ignore[misc]  # mypy can't infer a lambda's default
    api.post(f"{API}/{VALIDATING}", json=cleaned(kept[gone])).raise_for_status()
    wait_until_healed(replica, log, A_MINUTE)


def test_another_configuration_is_reported_at_once(
    control_plane: ControlPlane, chart: Chart, installed: Installation
) -> None:
    """Helm would write the exemption into the policies; here only the file changes."""
    (replica,) = installed.replicas
    rendered, log = installed.rendered, Log(replica)
    more = {**VALUES, "config": {"exemptions": {"usernames": ["system:serviceaccount:batch:runner"]}}}
    installed.reconfigure(render(control_plane, chart, more))
    try:
        wait_for("the difference to be reported", lambda: told(replica)[0] == 1.0, SOON)
        assert "admission policies and bindings in the API server differ" in told(replica)[1]
        log.wait_for("MutatingAdmissionPolicy gpuwarden-mps differs")
    finally:
        installed.reconfigure(rendered)
    wait_until_healed(replica, log)


def test_policies_deleted_as_a_whole_are_missed_where_the_webhooks_leave_out_their_common_case(
    control_plane: ControlPlane, installed: Installation
) -> None:
    """A replica that starts afterwards has never seen them, and reports it all the same. ``doctor`` fails."""
    (replica,) = installed.replicas
    log, api = Log(replica), control_plane.api
    policies = [each for each in installed.objects if ANNOTATION in each["metadata"].get("annotations", {})]
    leave_out_the_common_case(control_plane, installed)
    try:
        for each in reversed(policies):
            api.delete(f"{path_of(each)}/{each['metadata']['name']}").raise_for_status()
        compare_now(replica)
        wait_until_reported(replica, log, len(policies), "MutatingAdmissionPolicy gpuwarden-mps is missing")
        later = installed.start_replica()
        later.wait_until_ready()
        wait_for("it to be reported again", lambda: told(later)[0] == 1.0, SOON)
        later.process.kill()
        installed.forget(later)

        code, found = doctor(control_plane)
        assert (code, {line["status"] for line in found["in-tree"]}) == (1, {"fail"})
        assert all(line["means"].startswith("nobody decides: ") for line in found["in-tree"])
    finally:
        for each in policies:
            api.post(path_of(each), json=each)
    compare_now(replica)
    wait_until_healed(replica, log)


def leave_out_the_common_case(control_plane: ControlPlane, installed: Installation) -> None:
    """What the second ``helm upgrade`` does: the parts of the webhooks are asked, about all pods but the common case."""
    made = compiled(parse(installed.rendered.configuration_file))

    def split(configuration: Json) -> Json:
        whole = [each for each in configuration["webhooks"] if NOT_CALLED_YET not in str(each["matchConditions"])]
        return beside({**configuration, "webhooks": whole}, made)

    for kind in CONFIGURATION_KINDS:
        replace(control_plane, configuration_path(kind), split)


def test_without_the_right_it_is_not_known(control_plane: ControlPlane, installed: Installation) -> None:
    (replica,) = installed.replicas
    role, log = control_plane.get(CLUSTER_ROLE), Log(replica)
    rules = [rule for rule in role["rules"] if MUTATING not in rule["resources"]]
    assert len(rules) == len(role["rules"]) - 1

    def grant(rules: list[Json]) -> None:
        content = json.dumps({"rules": rules})
        control_plane.api.patch(CLUSTER_ROLE, headers=MERGE_PATCH, content=content).raise_for_status()

    grant(rules)
    try:
        compare_now(replica)
        wait_for("it to be unknown", lambda: math.isnan(told(replica)[0]), A_MINUTE)
        assert told(replica)[1] == "not known: admission policies or webhooks can't be read"
        log.wait_for("so whether they are outdated is unknown", "forbidden")
    finally:
        grant(role["rules"])
    wait_for("it to be known again", lambda: told(replica) == FINE, A_MINUTE)


def test_it_goes_on_after_a_restart_of_the_api_server(control_plane: ControlPlane, installed: Installation) -> None:
    (replica,) = installed.replicas
    path = f"{API}/{MUTATING}/gpuwarden-shared"
    kept, log = control_plane.get(path), Log(replica)
    control_plane.api.put(path, json=edited(kept)).raise_for_status()
    compare_now(replica)
    wait_until_reported(replica, log, 1, "MutatingAdmissionPolicy gpuwarden-shared differs from what")
    control_plane.restart_apiserver()
    replace(control_plane, path, lambda found: {**found, "spec": kept["spec"]})
    wait_until_healed(replica, log, A_MINUTE)
