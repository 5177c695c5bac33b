"""The recommendation as a whole: batching, reasons without data, notes, and the cluster's sum."""

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import structs

from tests.application.recommendation.cases import A100, DAY, END, GIB, form, node, series, template, workload
from webhook.application.recommendation.recommend import Recommendation, recommend
from webhook.application.recommendation.servers import ServerProgram, recognise
from webhook.application.recommendation.thresholds import Thresholds
from webhook.application.recommendation.usage import Metric, Series, Usage
from webhook.application.recommendation.verdicts import VerdictKind
from webhook.application.recommendation.workloads import LivePod, Workload
from webhook.engine.device_classes import DeviceClasses
from webhook.engine.fleet.devices import Device, Devices, NamedClass
from webhook.engine.fleet.node_shapes import Shape, shape_of
from webhook.engine.namespace_labels import NamespaceLabels
from webhook.engine.pods import Toleration
from webhook.engine.policy import ClaimForm, Mismatch, Policy, PolicyAdditions, PolicyBook, Prefer
from webhook.engine.spelling import DevicePlugin, MigStrategy

SERVER = recognise("vllm/vllm-openai:1", ["--model", "llama"], {})


def recommended(workloads: Sequence[Workload], found: Sequence[Series], **more: Any) -> Recommendation:
    usage = Usage(END, 14 * DAY, series=list(found), **more)
    shapes = {node(more={"nvidia.com/mig-1g.10gb": "7"}): 2}
    labels = {"a": NamespaceLabels()}
    return recommend(
        *(workloads, usage, shapes, labels, Thresholds()),
        trusted=lambda _: False,
        plugin=DevicePlugin(),
        exempt=("system",),
    )


def servers(*programs: ServerProgram, p95: float = 0.2, **fields: Any) -> Recommendation:
    every = [
        workload(f"s{number}", programs=(program,), pods=[LivePod(f"s{number}-1", 1.0)])
        for number, program in enumerate(programs)
    ]
    found = [series(f"s{number}-1", uuid=str(number), p95=p95, most=p95, **fields) for number in range(len(programs))]
    return recommended(every, found)


def test_servers_of_one_model_that_use_little_together_are_told_to_batch() -> None:
    found = servers(SERVER, SERVER)
    assert [line.verdict.kind for line in found.workloads] == [VerdictKind.BATCH, VerdictKind.BATCH]
    assert found.workloads[0].verdict.reasons[0].startswith("2 servers of llama in this namespace use 40 % of one GPU")
    assert found.namespaces[0].policy == ""


@pytest.mark.parametrize(
    "found",
    [
        servers(SERVER),
        servers(SERVER, recognise("vllm:1", ["vllm", "serve", "other"], {})),
        servers(SERVER, structs.replace(SERVER, arguments=1)),  # to embed, to prefill, with other adapters
        servers(SERVER, SERVER, p95=0.5),
        servers(SERVER, SERVER, recent=0.4),
        servers(SERVER, SERVER, points=5),
        servers(SERVER, SERVER, p95=0.0),
        servers(ServerProgram(model="llama"), ServerProgram(model="llama")),
    ],
)
def test_others_are_not(found: Recommendation) -> None:
    assert all(line.verdict.kind is not VerdictKind.BATCH for line in found.workloads)


def test_servers_on_slices_that_compute_needs_can_batch_too() -> None:
    each = {"form": "mig-1g.10gb", "requests": ("nvidia.com/mig-1g.10gb: 1",), "programs": (SERVER,)}
    every = [workload(name, **each) for name in ("s0", "s1")]
    found = recommended(every, [series(f"{one.name}-1", uuid=one.name, slice="1", profile="1g.10gb") for one in every])
    assert [line.verdict.kind for line in found.workloads] == [VerdictKind.BATCH, VerdictKind.BATCH]
    assert "no smaller slice is offered" in found.workloads[0].verdict.reasons[1]


def test_replicas_of_one_server_can_batch_too() -> None:
    one = workload(programs=(SERVER,), pods=[LivePod("w-1", 1.0), LivePod("w-2", 1.0)])
    found = recommended([one], [series("w-1"), series("w-2", uuid="GPU-2")])
    assert found.workloads[0].verdict.kind is VerdictKind.BATCH


def test_pods_that_serve_one_model_together_are_not_told_to_batch() -> None:
    pods = [LivePod("w-1", 1.0), LivePod("w-2", 1.0)]
    one = workload(kind="LeaderWorkerSet", programs=(SERVER,), pods=pods)
    found = recommended([one], [series("w-1"), series("w-2", uuid="GPU-2")])
    verdict = found.workloads[0].verdict
    assert (verdict.kind, verdict.reasons) == (
        VerdictKind.EXCLUSIVE,
        ("the 2 pods of a LeaderWorkerSet work together; such GPUs are never shared or sliced",),
    )


def test_a_server_with_more_pods_at_its_busiest_than_now_is_not_told_to_batch() -> None:
    one = workload(programs=(SERVER,), pods=[LivePod("w-1", 1.0), LivePod("w-2", 1.0)])
    by_day = [series(f"w-day-{n}", uuid=f"GPU-{n}", first=END - 2 * DAY, last=END - DAY) for n in range(6)]
    owners = {f"a/w-day-{n}": ("Deployment", "w") for n in range(6)}
    found = recommended([one], [series("w-1"), series("w-2", uuid="GPU-x"), *by_day], owners=owners)
    assert found.workloads[0].verdict.kind is not VerdictKind.BATCH


def test_servers_on_several_models_are_not_told_to_batch() -> None:
    every = [workload(name, programs=(SERVER,)) for name in ("s0", "s1")]
    found = [series("s0-1", uuid="GPU-0"), series("s1-1", uuid="GPU-1", model="NVIDIA L4")]
    assert all(line.verdict.kind is not VerdictKind.BATCH for line in recommended(every, found).workloads)


def test_pods_of_a_rollout_that_were_there_at_once_are_not_two_servers() -> None:
    one = workload(programs=(SERVER,))
    before = series("w-0", uuid="GPU-0", last=END - 7 * DAY)
    found = recommended([one], [before, series("w-1", first=END - 7.1 * DAY)], owners={"a/w-0": ("Deployment", "w")})
    assert found.workloads[0].verdict.kind is not VerdictKind.BATCH


@pytest.mark.parametrize(
    ("one", "found", "why"),
    [
        (workload(), [], "no series of GPUs has a pod; see the notes"),
        (workload(), [series("x")], "no series names its pods"),
        (workload(pods=[]), [series("x")], "no pod of it ran within the window"),
        (workload(form="shared"), [series("x")], "set KUBERNETES_VIRTUAL_GPUS=true"),
        (workload(claimed=True), [series("x")], "the pods of claims (DRA) only with KUBERNETES_ENABLE_DRA=true"),
        (workload(), [series(metric=None, slice="3")], "its MIG slice has no DCGM_FI_PROF_SM_ACTIVE"),
        (workload(), [series(metric=None)], "its series include no usable metric of compute"),
    ],
)
def test_why_there_is_no_data(one: Workload, found: list[Series], why: str) -> None:
    (line,) = recommended([one], found).workloads
    assert line.verdict.kind is VerdictKind.UNKNOWN
    assert why in line.verdict.reasons[0]


def test_notes_say_what_is_missing_what_the_server_said_and_whose_usage_is_unknown() -> None:
    stray = [series(f"gone-{number}", namespace="b") for number in range(2)]
    found = recommended([workload()], [series(), *stray], missing=["no SM_ACTIVE"], warnings=["partial answer"])
    assert found.notes == [
        "no SM_ACTIVE",
        "Prometheus: partial answer",
        "2 pods have usage but no existing workload, in b: not counted",
    ]


def test_the_sum_is_of_pods_that_run() -> None:
    small = workload("small", pods=[LivePod(f"small-{n}", 1.0) for n in range(7)])
    idle = workload("idle", pods=[LivePod("idle-1", 1.0)])
    ended = workload("ended", kind="Job", pods=[LivePod("ended-1", 1.0, over=True)])
    found = recommended(
        [small, idle, ended],
        [
            *(series(f"small-{n}", uuid=f"s{n}") for n in range(7)),
            series("idle-1", uuid="i", p95=0, most=0, memory=400),
            series("ended-1", uuid="e"),
        ],
    ).cluster
    assert [(one.form, one.before, one.after) for one in found.forms] == [("exclusive", 8, 0), ("mig-1g.10gb", 0, 7)]
    assert found.before
    assert found.after
    assert (found.before.gpus, found.after.gpus, found.after.free) == (8, 1, found.gpus and found.gpus - 1)


def test_criteria_say_what_a_form_gives_up() -> None:
    (line,) = recommended([workload()], [series()]).workloads
    by_name = {one.criterion: (one.now, one.value) for one in line.criteria}
    assert by_name["Memory isolation"] == ("yes", "yes")
    assert by_name["Configuration complexity"] == ("low", "high")
    assert "Supported GPUs" not in by_name
    (unknown,) = recommended([workload()], [series(metric=Metric.GPU_UTIL, points=1)]).workloads
    assert unknown.criteria == ()


def test_what_fits_a_claim_is_said_with_how_to_get_it() -> None:
    templates = (template("exclusive", claimed=True),)
    claim: dict[str, Any] = {
        "claimed": True,
        "requests": ("claim gpu: gpu.nvidia.com: 1",),
        "templates": templates,
    }
    found = recommended([workload(**claim)], [series()])
    (line,) = found.workloads
    assert (line.verdict.kind, line.verdict.form) == (VerdictKind.SLICE, "mig-1g.10gb")
    assert line.verdict.reasons[-1].startswith("requested by a claim, which no policy rewrites: change the claim")
    # Its namespace's policy would deny it.
    assert "it would deny 1" in found.namespaces[0].why_none
    (busy,) = recommended([workload(**claim)], [series(p95=0.9)]).workloads
    assert (busy.verdict.form, "claim" in busy.verdict.reasons[-1]) == ("exclusive", False)


def test_a_claim_of_which_it_is_not_known_what_it_gets_has_no_verdict_and_counts() -> None:
    one = workload(
        claimed=True, form="claim", not_evaluated="requested by a claim: it may be met in 2 ways", requests=("claim",)
    )
    found = recommended([one], [series(p95=0.0, most=0.0)])
    (line,) = found.workloads
    assert (line.verdict.kind, line.verdict.reasons) == (VerdictKind.UNKNOWN, (one.not_evaluated,))
    assert line.used
    assert [(each.form, each.before, each.after) for each in found.cluster.forms] == [("claim", 1, 1)]
    assert found.namespaces[0].undecided == ("Deployment w",)


def test_no_policy_for_an_exempt_namespace_where_it_would_have_no_effect() -> None:
    found = recommended([workload(namespace="system")], [series(namespace="system", p95=0.0, most=0.0, memory=400)])
    (line,), (advice,) = found.workloads, found.namespaces
    assert (line.verdict.kind, advice.policy, advice.label) == (VerdictKind.UNUSED, "", "")
    assert advice.why_none == "the configuration exempts it, so a policy would have no effect"


def test_workloads_that_no_policy_changes_have_no_part_in_the_choice_of_one() -> None:
    exempt = [workload(name, exempt="scheduler") for name in ("k1", "k2")]
    found = recommended([workload(), *exempt], [series(f"{name}-1", uuid=name, p95=0.05) for name in ("w", "k1", "k2")])
    (advice,) = found.namespaces
    assert (advice.policy, advice.fits, advice.workloads, advice.undecided) == ("mig-1g.10gb", 1, 1, ())
    (advice,) = recommended(exempt, []).namespaces
    assert (advice.policy, advice.workloads) == ("", 0)
    assert advice.why_none == "the configuration exempts its pods, so a policy would have no effect"


def test_the_policy_in_force_gives_what_nodes_offer() -> None:
    one, whole = form("mig-1g.10gb"), form("exclusive")
    falls = Policy("falls", (form("mig-1g.20gb"), one, whole), prefer=Prefer.OFFERED)
    claim = ClaimForm("slice", "slices.example.com")
    rewrites = Policy("rewrites", (one,), mismatch=Mismatch.REWRITE)
    by_memory = Policy("by-memory", (one, form("mig-2g.20gb")), prefer=Prefer.MEMORY)
    limited = Policy("limited", (whole,), max_per_pod=1)
    by_container = Policy("by-container", (whole,), max_per_container=1)
    claims = Policy("claims", claim_forms=(claim,), plain_claim=claim)
    shares = shape_of(
        {"nvidia.com/gpu.sharing-strategy": "time-slicing"},
        {"nvidia.com/gpu.shared": "4"},
        {"nvidia.com/gpu.shared": "4"},
    )
    assert shares
    shapes = {node(more={"nvidia.com/mig-1g.10gb": "7", "nvidia.com/mig-2g.20gb": "3"}): 1, shares: 1}
    slots = workload("slots", namespace="b", form="time-slicing")
    given = [workload(), slots, workload("two", namespace="c", gpus=2)]
    given.append(workload("pair", namespace="d", gpus=2))
    usage = Usage(
        END,
        14 * DAY,
        series=[
            series(uuid="1", p95=0.05),
            structs.replace(series("slots-1", uuid="2", pods=4), namespace="b", compute_of_device=True),
            *(series("two-1", namespace="c", uuid=f"two{number}", p95=0.9) for number in range(2)),
            *(series("pair-1", namespace="d", uuid=f"pair{number}", p95=0.9) for number in range(2)),
        ],
    )

    namespaces = {"b": NamespaceLabels("shared"), "c": NamespaceLabels("limited"), "d": NamespaceLabels("by-container")}

    def policy(label: str, nodes: dict[Shape, int] | None) -> dict[str, tuple[str, str]]:
        found = recommend(
            *(given, usage, nodes, namespaces | {"a": NamespaceLabels(label)}, Thresholds()),
            trusted=lambda _: True,
            plugin=DevicePlugin(),
            expected=() if nodes else (one,),
            policies=PolicyBook({one.name: one for one in (falls, claims, limited, by_container, by_memory, rewrites)}),
            classes=DeviceClasses({"slices.example.com": "mig-1g.10gb"}),
        )
        return {advice.namespace: (advice.policy, advice.label) for advice in found.namespaces}

    assert policy("falls", shapes) == {"a": ("falls", ""), "b": ("shared", ""), "c": ("", ""), "d": ("", "")}
    assert policy("claims", shapes)["a"] == ("claims", "")
    given[0] = workload(memory=16_384)
    assert policy("by-memory", shapes)["a"] == ("by-memory", "")
    given[0] = workload(
        claimed=True, requests=("claim gpu: gpu.nvidia.com: 1",), templates=(template("exclusive", claimed=True),)
    )
    assert policy("rewrites", shapes)["a"] == ("", "")  # no claim is rewritten
    given[0] = workload()
    # Without nodes, it is not known that the first form is not offered.
    assert policy("falls", None)["a"][0] == "mig-1g.10gb"


def test_a_policy_that_prefers_what_is_offered_gives_what_device_classes_offer() -> None:
    falls = Policy("falls", (form("mig-1g.20gb"), form("mig-1g.10gb")), prefer=Prefer.OFFERED)
    device = Device(("gpu.nvidia.com", "n", "0"), {"gpu.nvidia.com/productName": f"NVIDIA {A100}"})
    found = recommend(
        *([workload()], Usage(END, 14 * DAY, series=[series()]), {}, {"a": NamespaceLabels("falls")}, Thresholds()),
        trusted=lambda _: False,
        plugin=DevicePlugin(),
        policies=PolicyBook({"falls": falls}),
        devices=Devices([NamedClass("slices", "nvidia.com/mig-1g.10gb")], [device]),
    )
    assert [(one.policy, one.label) for one in found.namespaces] == [("falls", "")]


def test_forms_of_nodes_that_do_not_match_the_configuration_are_not_recommended() -> None:
    amounts = {"nvidia.com/gpu": "7"}
    slices = shape_of({"nvidia.com/gpu.product": f"NVIDIA-{A100}-MIG-1g.10gb"}, amounts, amounts)
    assert slices
    usage = Usage(
        END, 14 * DAY, series=[series("w-1", uuid="1"), series("s-1", uuid="2", profile="1g.10gb", capacity=9728)]
    )
    there = workload("s", namespace="b", form="mig-1g.10gb")
    usage.series[1] = structs.replace(usage.series[1], namespace="b")
    single = DevicePlugin(mig_strategy=MigStrategy.SINGLE, products=(f"NVIDIA-{A100}",))
    found, fits = (
        recommend(
            *([workload(), there], usage, {node(): 1, slices: 1}, {}, Thresholds()),
            trusted=lambda _: False,
            plugin=plugin,
        )
        for plugin in (DevicePlugin(), single)
    )
    assert [one.verdict.form for one in found.workloads] == ["exclusive", "mig-1g.10gb"]
    assert found.workloads[0].verdict.reasons[-1] == (
        "no node offers MIG slices in the way that the configuration's devicePlugin states (see the notes)"
    )
    assert found.workloads[1].verdict.kind is VerdictKind.AS_IT_IS
    assert [one.policy for one in found.namespaces] == ["exclusive", ""]
    assert found.namespaces[1].why_none.startswith("mig-1g.10gb fits 1 of 1 workload; nodes have it under other names")
    assert [one.partition(" under ")[0] for one in found.notes] == ["some nodes have mig-1g.10gb"]
    assert [one.verdict.form for one in fits.workloads] == ["mig-1g.10gb", "mig-1g.10gb"]
    assert [one.policy for one in fits.namespaces] == ["mig-1g.10gb", "mig-1g.10gb"]
    assert fits.notes == []


def test_forms_whose_policies_deny_a_workload_by_its_node_selectors_are_not_recommended() -> None:
    product = {"nvidia.com/gpu.product": f"NVIDIA-{A100}-MIG-1g.10gb"}
    labels = {"nvidia.com/gpu.slices.gi": "1", "nvidia.com/gpu.slices.ci": "1", "nvidia.com/gpu.memory": "9728"}
    amounts = {"nvidia.com/gpu": "7"}
    slices = shape_of({**product, **labels, "nvidia.com/mig.strategy": "single"}, amounts, amounts)
    assert slices
    by_size = DevicePlugin(mig_strategy=MigStrategy.SINGLE)
    listed = structs.replace(by_size, products=(f"NVIDIA-{A100}",))

    def found(
        plugin: DevicePlugin, selector: dict[str, str], how: str = "nodeSelector", stated: str = "", *off: str
    ) -> tuple[str, str]:
        terms = [{"matchExpressions": [{"key": key, "operator": "In", "values": [selector[key]]} for key in selector]}]
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        more = {how: selector if how == "nodeSelector" else {"nodeAffinity": required}}
        one = workload(templates=(template(stated, more=more),), unreachable=tuple((form, A100) for form in off))
        result = recommend(
            *([one], Usage(END, 14 * DAY, series=[series()]), {node(): 1, slices: 1}, {}, Thresholds()),
            trusted=lambda _: False,
            plugin=plugin,
        )
        (line,) = result.workloads
        return line.verdict.form, line.verdict.reasons[-2]

    model = {"nvidia.com/gpu.product": f"NVIDIA-{A100}"}
    # Its nodes have the product of slices, which a policy can only write if it knows the models.
    conflict = ("exclusive", "node selectors, affinity or taints keep its pods off all nodes that offer mig-1g.10gb")
    assert found(by_size, model) == found(by_size, model, "affinity") == conflict
    assert found(listed, model)[0] == found(by_size, product)[0] == "mig-1g.10gb"
    # A template that names another form can be changed, and what nodes keep a pod off stays out of reach.
    assert found(by_size, {"zone": "a"}, "nodeSelector", "mps")[0] == "mig-1g.10gb"
    assert found(by_size, {"zone": "a"}, "nodeSelector", "", "mig-1g.10gb") == conflict


def test_a_policy_of_shared_slices_stays() -> None:
    form = "mig-1g.10gb-shared"
    one = workload(form=form, requests=("nvidia.com/mig-1g.10gb.shared: 1",), templates=(template(form),))
    found = recommend(
        *([one], Usage(END, 14 * DAY, series=[series(profile="1g.10gb", slice="1", pods=2)]), {node(): 1}),
        *({"a": NamespaceLabels(form)}, Thresholds()),
        trusted=lambda _: True,
        plugin=DevicePlugin(),
    )
    (line,), (advice,) = found.workloads, found.namespaces
    assert (line.verdict.kind, line.verdict.form) == (VerdictKind.AS_IT_IS, form)
    assert (advice.policy, advice.fits, advice.kept, advice.label) == (form, 0, ("Deployment w",), "")


@pytest.mark.parametrize(
    ("tolerations", "over", "found_there"),
    [
        ((Toleration("dedicated", "Exists"),), False, True),
        ((Toleration("dedicated", "Exists"),), True, False),
        ((), False, False),
    ],
)
def test_running_pods_have_a_form_that_the_policy_in_force_sent_them_to(
    tolerations: tuple[Toleration, ...], *, over: bool, found_there: bool
) -> None:
    """Their templates do not tolerate the taint; the policy adds that. Pods that have ended may have run elsewhere."""
    large = node(more={"nvidia.com/mig-2g.20gb": "3", "nvidia.com/mig-3g.40gb": "2"})
    additions = PolicyAdditions(tolerations=tolerations)
    policy = Policy("tainted", (form("mig-2g.20gb"),), additions=additions)
    given = workload(form="mig-2g.20gb", pods=[LivePod("w-1", 1.0, over)], unreachable=(("mig-2g.20gb", A100),))
    used = series(profile="2g.20gb", p95=0.6, most=0.7, memory=10 * GIB, capacity=19_968)
    found = recommend(
        *([given], Usage(END, 14 * DAY, series=[used]), {large: 1}, {"a": NamespaceLabels("tainted")}, Thresholds()),
        trusted=lambda _: False,
        plugin=DevicePlugin(),
        policies=PolicyBook({"tainted": policy}),
    )
    assert found.workloads[0].verdict.form == ("mig-2g.20gb" if found_there else "mig-3g.40gb")
    assert (found.namespaces[0].label == "") is found_there


@pytest.mark.parametrize("label", ["shared", "time-slicing"])
def test_pods_without_a_node_share_in_the_one_way_that_there_is(label: str) -> None:
    """The form of a Job that has ended is only known by its request."""
    sharing = node(32, "nvidia.com/gpu.shared", gpu_sharing__strategy="time-slicing", gpu_replicas="4")
    ended = workload(kind="Job", form="shared", pods=[LivePod("w-1", END - 10 * DAY, over=True)])
    of_device = series(pods=2, is_slot=True, compute_of_device=True)
    found = recommend(
        *([ended], Usage(END, 14 * DAY, series=[of_device]), {sharing: 1}, {"a": NamespaceLabels(label)}, Thresholds()),
        trusted=lambda _: True,
        plugin=DevicePlugin(),
    )
    assert (found.workloads[0].form, found.workloads[0].verdict.form) == ("time-slicing", "time-slicing")
    advice = found.namespaces[0]
    assert (advice.policy, advice.label, advice.kept) == (label, "", ("Job w",))


def test_forms_that_only_nodes_have_that_take_no_pods_are_a_note() -> None:
    amounts = {"nvidia.com/mig-1g.10gb": "7"}
    cordoned = shape_of({"nvidia.com/gpu.product": f"NVIDIA-{A100}"}, amounts, amounts, cordoned=True)
    assert cordoned
    found = recommend(
        *([workload()], Usage(END, 14 * DAY, series=[series("w-1")]), {node(): 1, cordoned: 1}, {}, Thresholds()),
        trusted=lambda _: False,
        plugin=DevicePlugin(),
    )
    assert found.workloads[0].verdict.form == "exclusive"
    assert [one for one in found.notes if "only nodes that take no pods now have mig-1g.10gb" in one]


def test_slices_of_nodes_that_do_not_state_their_model_are_compared_only_if_one_model_is_used() -> None:
    amounts = {"nvidia.com/mig-1g.10gb": "7"}
    unlabelled = shape_of({}, amounts, amounts)
    assert unlabelled

    def forms(*used: Series) -> list[str]:
        every = [workload(one.pod.removesuffix("-1"), pods=[LivePod(one.pod, 1.0)]) for one in used]
        found = recommend(
            *(every, Usage(END, 14 * DAY, series=list(used)), {unlabelled: 1}, {}, Thresholds()),
            trusted=lambda _: False,
            plugin=DevicePlugin(),
        )
        return [one.verdict.form for one in found.workloads]

    small = series("w-1", p95=0.1, most=0.1)
    assert forms(small) == ["mig-1g.10gb"]
    assert forms(small, series("x-1", uuid="GPU-2", model="NVIDIA H100 80GB HBM3")) == ["exclusive", "exclusive"]
    # Of an A100, it has 14 of 108 multiprocessors, which is less than a seventh.
    assert forms(series("w-1", p95=0.135, most=0.135)) == ["exclusive"]


def test_the_reasons_name_the_settings_of_the_device_plugin_only_for_what_nodes_have() -> None:
    shared = node(8, "nvidia.com/gpu", gpu_sharing__strategy="mps")
    usage = Usage(END, 14 * DAY, series=[series("w-1")])
    found = recommend(
        *([workload()], usage, {node(): 1, shared: 1}, {}, Thresholds()),
        trusted=lambda _: True,
        plugin=DevicePlugin(),
    )
    assert found.workloads[0].verdict.form == "exclusive"
    assert found.workloads[0].verdict.reasons[-2:] == (
        f"no node shares GPUs of {A100} in the way that the configuration's devicePlugin states (see the notes)",
        "no node offers MIG slices",
    )
