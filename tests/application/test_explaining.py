"""Explanations: of forms under a configuration, of policies with their settings, of rules; unknown names get the nearest."""

import pytest

from tests.builders import additions
from webhook.application.configuration import Configuration
from webhook.application.explaining import (
    FormExplanation,
    PolicyExplanation,
    RuleExplanation,
    UnknownNameError,
    explained,
)
from webhook.application.rule_texts import RULE_TEXTS
from webhook.engine.forms import Form, parse
from webhook.engine.pods import Toleration
from webhook.engine.policy import ClaimForm, Policy, PolicyBook, Prefer
from webhook.engine.spelling import DevicePlugin, MigStrategy

A100 = "NVIDIA-A100-SXM4-80GB"


def form(name: str, **plugin: object) -> FormExplanation:
    found = explained(name, Configuration(plugin=DevicePlugin(**plugin)))  # type: ignore[arg-type]  # a test's own settings
    assert isinstance(found, FormExplanation)
    return found


def test_a_form_is_shown_as_it_is_under_the_configuration() -> None:
    assert form("mps").resource == "nvidia.com/gpu.shared: 1"
    assert form("mps").node_labels == ("nvidia.com/gpu.sharing-strategy: mps",)
    assert form("shared", rename_by_default=False).resource == "nvidia.com/gpu: 1"
    assert form("mig-1g.10gb").resource == "nvidia.com/mig-1g.10gb: N"
    single = form("mig-1g.10gb", mig_strategy=MigStrategy.SINGLE, products=(A100,))
    assert single.resource == "nvidia.com/gpu: N"
    assert single.node_labels == (f"nvidia.com/gpu.product In [{A100}-MIG-1g.10gb]",)


def test_slices_have_their_measured_memory_on_the_models_of_the_configuration() -> None:
    assert [each.gpu for each in form("mig-1g.10gb").memory] == ["A100 40GB", "A100 80GB", "H100 80GB"]
    single = form("mig-1g.10gb", mig_strategy=MigStrategy.SINGLE, products=(A100,))
    assert [(each.gpu, each.lowest) for each in single.memory] == [("A100 80GB", 9728)]
    assert form("exclusive").memory == ()


def test_a_form_without_nodes_under_the_configuration_says_why() -> None:
    found = form("mig-1g.5gb", mig_strategy=MigStrategy.SINGLE, products=(A100,))
    assert found.resource is None
    assert found.unavailable
    assert "has no nodes under migStrategy single" in found.unavailable


def test_a_kind_of_form_is_explained_without_a_profile_and_gke_forms_have_traps_of_their_own() -> None:
    kind = form("mig")
    assert (kind.resource, kind.node_labels) == (None, ())
    assert any("GKE Autopilot" in trap for trap in form("gke-mps-4").traps)
    assert not any("GKE Autopilot" in trap for trap in form("mps").traps)


def test_a_policy_is_its_forms_and_the_settings_that_have_an_effect() -> None:
    mps = parse("mps")
    assert mps
    policy = Policy(
        "team",
        (mps, Form()),
        (ClaimForm("one", "gpu.nvidia.com"),),
        max_per_container=2,
        max_per_pod=3,
        additions=additions(
            node_selector={"pool": "a"},
            tolerations=(Toleration("gpus", "Exists"),),
            runtime_class_name="nvidia",
            env={"A": "1"},
        ),
        admin_access=True,
    )
    found = explained("team", Configuration(PolicyBook({"team": policy})))
    assert isinstance(found, PolicyExplanation)
    assert found.permits == ("mps", "exclusive", 'a claim of ResourceClaimTemplate "one"')
    assert [each.name for each in found.forms] == ["mps", "exclusive"]
    assert found.settings == {
        "mismatch": "reject",
        "prefer": "first",
        "maxPerContainer": "2",
        "maxPerPod": "3",
        "visibleDevices": "warn",
        "notOffered": "warn",
        "adminAccess": "true",
        "runtimeClassName": "nvidia",
        "nodeSelector[pool]": "a",
        "env[A]": "1",
        "tolerations[0]": "key: gpus, operator: Exists",
    }


@pytest.mark.parametrize(
    ("prefer", "says"),
    [
        (Prefer.FIRST, "the first listed form that the pod's node selectors permit."),
        (Prefer.OFFERED, "the first listed form that nodes that the pod selects offer."),
        (Prefer.MEMORY, "the memory that the pod's annotation gpuwarden.io/gpu-memory asks for."),
    ],
)
def test_what_a_plain_request_becomes_is_what_the_policy_prefers(prefer: Prefer, says: str) -> None:
    forms = tuple(form for name in ("mig-1g.10gb", "mig-2g.20gb") if (form := parse(name)))
    found = explained("team", Configuration(PolicyBook({"team": Policy("team", forms, prefer=prefer)})))
    assert isinstance(found, PolicyExplanation)
    assert says in found.description


def test_a_slice_without_measured_memory_says_so() -> None:
    for name, is_measured in (("mig-1g.10gb", True), ("mig-1g.10gb.me", True), ("mig-1g.35gb", False), ("mps", True)):
        found = explained(name, Configuration())
        assert isinstance(found, FormExplanation)
        assert any("is not measured" in trap for trap in found.traps) is not is_measured


@pytest.mark.parametrize(("name", "guard"), [("any", "ignore"), ("none", "warn")])
def test_any_and_none_are_policies(name: str, guard: str) -> None:
    found = explained(name, Configuration())
    assert isinstance(found, PolicyExplanation)
    assert (found.permits, found.forms) == ((name,), ())
    assert found.settings == {"visibleDevices": guard, "notOffered": "warn"}


def test_every_id_of_a_report_is_explained_from_its_declaration() -> None:
    for name, text in RULE_TEXTS.items():
        found = explained(name, Configuration())
        assert isinstance(found, RuleExplanation)
        assert (found.title, found.help) == (text.title, text.help)
    effects = {
        name: explained(name, Configuration()) for name in ("gpu-host-path", "form-not-offered", "selector-conflict")
    }
    assert [(one.effect, one.source) for one in effects.values() if isinstance(one, RuleExplanation)] == [
        ("set by the policy's visibleDevices", "docs/reference/guard.md"),
        ("set by the policy's notOffered", "docs/reference/nodes.md"),
        ("deny", "docs/reference/policies.md"),
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mig-1g.6bg", 'did you mean "mig-1g.6gb"?'),
        ("MPS", 'did you mean "mps"?'),
        (" shared", 'did you mean "shared"?'),
        # Another number of slices is another size, and no misspelling.
        ("mig-9g", 'did you mean "mig"?'),
        ("mig-2g.80g", 'did you mean "mig-2g.70gb"?'),
        ("shared-request-over-one", 'did you mean "shared-request-above-one"?'),
        ("taem", 'did you mean "team"?'),
        ("x", "use a form such as mps, a policy of the configuration, or a rule id"),
    ],
)
def test_an_unknown_name_gets_the_nearest(name: str, said: str) -> None:
    with pytest.raises(UnknownNameError) as error:
        explained(name, Configuration(PolicyBook({"team": Policy("team", (Form(),))})))
    assert str(error.value) == f'"{name}" is not a form, a policy or a rule; {said}'


def test_a_profile_that_is_not_documented_is_explained_with_that() -> None:
    for name, is_known in (("mig-1g.10gb", True), ("mig-9g.10gb", False), ("gke-mig-3g.80gb", False)):
        found = explained(name, Configuration())
        assert isinstance(found, FormExplanation)
        assert any("not among the profiles that NVIDIA documents" in trap for trap in found.traps) is not is_known


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mig-1g.5gb.me", "1g.5gb.me: the same slice as 1g.5gb, with video engines that most slices lack"),
        ("mig-1g.24gb.me.all", "1g.24gb.me.all: the same slice as 1g.24gb, with all video engines"),
        ("mig-1g.24gb.gfx", "1g.24gb.gfx: the same slice as 1g.24gb, with graphics"),
        ("mig-1g.24gb-me", "1g.24gb-me: the same slice as 1g.24gb, without video engines"),
        ("mig-1g.5gb", ""),
    ],
)
def test_what_the_suffix_of_a_profile_changes_is_explained(name: str, said: str) -> None:
    found = explained(name, Configuration())
    assert isinstance(found, FormExplanation)
    traps = [trap for trap in found.traps if "the same slice as" in trap]
    assert traps[0].startswith(said) if said else not traps, traps
