"""Advice for namespaces: the policy that fits most, whom it would hurt, and the commands."""

from collections.abc import Sequence

from msgspec import structs

from tests.application.recommendation.cases import A100, SHARED, SLICES, evaluated, form, offered, template
from webhook.application.recommendation.candidates import EvaluatedWorkload, HarmedWorkload
from webhook.application.recommendation.namespace_advice import NamespaceAdvice
from webhook.application.recommendation.namespace_advice import advise as advised
from webhook.application.recommendation.offers import Offers, Slice
from webhook.application.recommendation.policy_effects import PolicyEffect
from webhook.application.recommendation.verdicts import VerdictKind, WorkloadVerdict
from webhook.engine.namespace_labels import NamespaceLabels
from webhook.engine.policy import Mismatch, Policy, PolicyAdditions, PolicyBook, Prefer
from webhook.engine.spelling import DevicePlugin, MigStrategy

SIZES = ("mig-1g.10gb", "mig-2g.20gb", "mig-3g.40gb")
SMALL, MIDDLE, LARGE = (WorkloadVerdict(VerdictKind.SLICE, SIZES[number], enough=SIZES[number:]) for number in range(3))
WHOLE = WorkloadVerdict(VerdictKind.EXCLUSIVE, "exclusive")
FOUR = WorkloadVerdict(VerdictKind.EXCLUSIVE, "exclusive", 4)
SLOT = WorkloadVerdict(VerdictKind.SHARED, "mps", enough=("mps", "time-slicing"))
OTHER_SLOT = WorkloadVerdict(VerdictKind.SHARED, "time-slicing", enough=("time-slicing", "mps"))
UNKNOWN = WorkloadVerdict(VerdictKind.UNKNOWN)
UNUSED = WorkloadVerdict(VerdictKind.UNUSED, "none", 0)
BATCH = WorkloadVerdict(VerdictKind.BATCH)
NO_LABELS = NamespaceLabels()
BUILT_IN = PolicyBook()


def advise(  # noqa: PLR0913 - as the function itself
    name: str,
    workloads: Sequence[EvaluatedWorkload],
    found: Offers,
    labels: NamespaceLabels,
    *,
    trusted: bool,
    policies: PolicyBook = BUILT_IN,
    plugin: DevicePlugin = DevicePlugin(),  # noqa: B008 - it is frozen
) -> NamespaceAdvice:
    """The advice under the policy that the labels select."""
    now = PolicyEffect(policies.select(labels).enforce, plugin, offered=found)
    return advised(name, workloads, labels, now, trusted=trusted)


def denied(found: NamespaceAdvice) -> tuple[str, ...]:
    """The names of those that the policy would deny."""
    return tuple(one.workload for one in found.denies)


def advice(*verdicts: WorkloadVerdict, labelled: str | None = None, stated: str = "") -> NamespaceAdvice:
    workloads = [evaluated(f"w{number}", stated, verdict) for number, verdict in enumerate(verdicts)]
    return advise("team", workloads, offered(shared=SHARED), NamespaceLabels(labelled), trusted=True)


def test_nothing_is_advised_where_nothing_is_known() -> None:
    for verdicts, why in (
        ((), ""),
        ((UNKNOWN,), "which form is enough is not known of w0"),
        ((UNKNOWN, UNUSED), "which form is enough is not known of w0"),
        ((BATCH, BATCH), "which form is enough is not known of w0, w1"),
    ):
        found = advice(*verdicts)
        assert (found.policy, found.label, found.preview, found.why_none) == ("", "", "", why)


def test_the_policy_that_fits_most_and_whom_it_would_hurt() -> None:
    found = advice(*[SLOT] * 14, FOUR)
    assert (found.policy, found.fits, found.workloads) == ("mps", 14, 15)
    assert found.hurts == (HarmedWorkload("w14", "needs 4 GPUs"),)
    assert found.label == "kubectl label namespace team gpuwarden.io/enforce=mps"
    assert found.preview == "gpuwarden audit -n team --assume team=mps --fleet live"


def test_a_larger_slice_hurts_nobody_and_a_smaller_one_does() -> None:
    found = advice(SMALL, SMALL, MIDDLE)
    assert (found.policy, found.hurts, found.larger) == ("mig-2g.20gb", (), ("w0", "w1"))
    assert advice(SMALL, SMALL, SMALL, SMALL, LARGE).hurts == (HarmedWorkload("w4", "needs mig-3g.40gb"),)


def test_whole_gpus_are_for_namespaces_where_most_need_them() -> None:
    assert advice(SMALL, WHOLE, WHOLE).policy == "exclusive"
    assert advice(SMALL, WHOLE).policy == advice(SMALL, MIDDLE, LARGE, WHOLE).policy == ""
    assert advice(SMALL, SMALL, SMALL, WHOLE, WHOLE).policy == ""  # a slice fits most, and hurts too many
    assert advice(SLOT, SMALL, SMALL).policy == "mig-1g.10gb"


def test_no_policy_of_sharing_where_the_namespace_is_not_trusted_though_it_shares() -> None:
    shares = evaluated("w", "time-slicing", WorkloadVerdict(VerdictKind.AS_IT_IS, "time-slicing"), "time-slicing")
    found = advise("team", [shares], offered(shared=SHARED), NamespaceLabels(), trusted=False)
    assert (found.policy, found.label, found.preview) == ("", "", "")
    assert found.why_none.startswith("time-slicing fits 1 of 1 workload; sharing isolates neither memory nor faults")
    assert advise("team", [shares], offered(shared=SHARED), NamespaceLabels(), trusted=True).policy == "time-slicing"


def test_a_policy_does_not_select_the_gpu_model() -> None:
    slices = (*SLICES, Slice(form("mig-1g.10gb"), 1 / 7, 9728, "H100-80GB-HBM3"))

    def select(verdict: WorkloadVerdict, labelled: str | None = None, *off: tuple[str, str]) -> str:
        workload = evaluated("w", "", verdict, "", *off)
        return advise("team", [workload], offered(slices), NamespaceLabels(labelled), trusted=True).before

    assert select(SMALL).startswith(
        "several GPU models have mig-1g.10gb (A100-SXM4-80GB, H100-80GB-HBM3), and the policy does not select one"
    )
    assert select(MIDDLE) == select(WHOLE) == select(UNKNOWN) == ""
    assert ": before you set the label, have each pod" in select(SMALL)
    assert "does not select one: have each pod select the model" in select(SMALL, "mig-1g.10gb")
    # Its pods may run on one of them only: they select it, or are kept off the other.
    assert select(SMALL, None, ("mig-1g.10gb", A100)) == select(SMALL, "mig-1g.10gb", ("mig-1g.10gb", A100)) == ""
    assert select(SMALL, None, ("mig-2g.20gb", A100)) == select(SMALL)
    slices = (*SLICES, Slice(form("mig-1g.10gb"), 1 / 7, 9728, ""))
    assert select(SMALL) == ""


def test_whole_gpus_are_not_for_those_that_have_enough_with_less() -> None:
    kept = WorkloadVerdict(VerdictKind.AS_IT_IS, "mig-1g.10gb")
    workloads = [evaluated(f"w{n}", "", kept, "mig-1g.10gb") for n in range(2)]
    workloads += [evaluated(f"w{n}", "", WHOLE, "time-slicing") for n in range(2, 5)]
    found = advise("team", workloads, offered(), NamespaceLabels(), trusted=True)
    assert (found.policy, found.hurts[0]) == (
        "exclusive",
        HarmedWorkload("w0", "has mig-1g.10gb, and would get a whole GPU"),
    )
    assert advise("team", workloads[:-1], offered(), NamespaceLabels(), trusted=True).policy == ""


def test_whole_gpus_keep_a_smaller_form_from_those_for_which_it_is_enough() -> None:
    workloads = [evaluated(f"w{n}", "", WHOLE, "exclusive") for n in range(4)] + [
        evaluated("small", "", SMALL, "exclusive")
    ]
    found = advise("team", workloads, offered(), NamespaceLabels(), trusted=False)
    assert (found.policy, found.label) == ("", "")
    assert found.why_none == (
        "exclusive fits 4 of 5 workloads, but would help 0 and be wrong for 1: small; "
        "mig-1g.10gb fits 1, and is or may be wrong for 4"
    )
    found = advise("team", workloads, offered(), NamespaceLabels("exclusive"), trusted=False)
    assert (found.policy, found.hurts, found.larger) == ("exclusive", (), ("small",))


def test_why_a_policy_hurts() -> None:
    assert advice(SLOT, SLOT, SLOT, WHOLE).hurts == (HarmedWorkload("w3", "needs a whole GPU"),)
    assert advice(SLOT, SLOT, SLOT, SMALL).hurts == (HarmedWorkload("w3", "needs memory of its own (mig-1g.10gb)"),)
    assert advice(SMALL, SMALL, SMALL, SLOT).hurts == (HarmedWorkload("w3", "needs mps"),)
    found = advice(SLOT, SLOT, OTHER_SLOT)
    assert (found.hurts, found.acceptable) == ((), ("w2",))
    # Its share of a GPU that is shared by MPS is too small, or it draws.
    only = structs.replace(OTHER_SLOT, enough=("time-slicing",))
    assert advice(SLOT, SLOT, SLOT, only).hurts == (HarmedWorkload("w3", "needs time-slicing"),)
    assert advice(SLOT, SLOT, SLOT, only).acceptable == ()


def test_a_policy_hurts_those_whose_pods_can_not_get_its_form() -> None:
    why = "node selectors, affinity or taints keep its pods off all nodes that offer {}"
    for verdict, policy, other in ((MIDDLE, "mig-2g.20gb", SMALL), (SLOT, "mps", OTHER_SLOT)):
        workloads = [evaluated(f"w{number}", "", verdict) for number in range(3)]
        models = {one.model for one in offered(shared=SHARED).every if str(one.form) == policy}
        pinned = evaluated("pinned", "", other, "", *((policy, model) for model in models))
        found = advise("team", [*workloads, pinned], offered(shared=SHARED), NamespaceLabels(), trusted=True)
        assert (found.policy, found.hurts) == (policy, (HarmedWorkload("pinned", why.format(policy)),))
        assert (found.larger, found.acceptable) == ((), ())


def test_users_are_warned_of_what_a_form_needs() -> None:
    """MPS on GKE needs hostIPC."""
    slot = WorkloadVerdict(VerdictKind.SHARED, "gke-mps-3", enough=("gke-mps-3",))
    with_ipc = structs.replace(evaluated("ipc", "", slot), templates=(template("", more={"hostIPC": True}),))
    found = advise("team", [evaluated("w", "", slot), with_ipc], offered(), NamespaceLabels(), trusted=True)
    assert (found.policy, [one.workload for one in found.warns]) == ("gke-mps-3", ["w"])
    assert "hostIPC: true" in found.warns[0].why
    # Users whose pods are denied see no warning.
    several = evaluated("several", "", slot, gpus=2)
    found = advise(
        "team", [*(evaluated(f"w{n}", "", slot) for n in range(2)), several], offered(), NO_LABELS, trusted=True
    )
    assert ([one.workload for one in found.warns], denied(found)) == (["w0", "w1"], ("several",))


def test_shared_in_force_hurts_none_that_any_kind_of_sharing_on_nodes_is_enough_for() -> None:
    keeps = WorkloadVerdict(VerdictKind.AS_IT_IS, "time-slicing", is_need_unknown=True)
    workloads = [evaluated("keeps", "", keeps, "time-slicing"), evaluated("w", "", SLOT, "time-slicing")]
    found = advise("team", workloads, offered(shared=SHARED), NamespaceLabels("shared"), trusted=True)
    assert (found.policy, found.label, found.hurts, found.acceptable) == ("shared", "", (), ("w",))


def test_a_share_of_a_slice_is_no_kind_of_shared() -> None:
    """Which is of whole GPUs."""
    forms = {"gpu": "shared", "gpus": "time-slicing", "slice": "mig-1g.10gb-shared"}
    has = {name: WorkloadVerdict(VerdictKind.AS_IT_IS, one, is_need_unknown=True) for name, one in forms.items()}
    workloads = [evaluated(name, "", one, one.form) for name, one in has.items()]
    found = advise("team", workloads, offered(shared=SHARED), NO_LABELS, trusted=True)
    assert found.why_none.startswith("shared fits 0 of 3 workloads (and 2 would keep the form that they have)")
    assert "be wrong for 1: slice;" in found.why_none


def test_workloads_that_keep_their_form_outweigh_those_without_a_verdict() -> None:
    keeps = WorkloadVerdict(VerdictKind.AS_IT_IS, "time-slicing", is_need_unknown=True)
    workloads = [
        evaluated("keeps", "", keeps, "time-slicing"),
        evaluated("fits", "", OTHER_SLOT, "time-slicing"),
        evaluated("unknown", "", UNKNOWN, "time-slicing"),
    ]
    found = advise("team", workloads, offered(shared=SHARED), NO_LABELS, trusted=True)
    assert (found.policy, found.fits, found.kept, found.undecided) == ("time-slicing", 1, ("keeps",), ("unknown",))


def test_where_a_policy_sends_pods_is_not_looked_at() -> None:
    additions = PolicyAdditions(node_selector=(("zone", "w"),))
    book = PolicyBook({"zone": Policy("zone", (form("mig-1g.10gb"),), additions=additions)})
    labels = NamespaceLabels("zone")
    found = advise("team", [evaluated("w", "", SMALL)], offered(), labels, trusted=False, policies=book)
    assert found.policy == "zone"
    assert found.before.startswith("the nodeSelector and tolerations of the policy are not checked here")


def test_those_without_a_verdict_that_counts_are_named() -> None:
    found = advice(SMALL, SMALL, SMALL, UNKNOWN, BATCH, UNUSED)
    assert (found.undecided, found.unused) == (("w3", "w4"), ("w5",))


def test_no_policy_that_may_be_wrong_for_as_many_as_it_fits() -> None:
    found = advice(SMALL, UNKNOWN, UNUSED)
    assert (found.policy, found.label, found.preview) == ("", "", "")
    assert found.why_none == "mig-1g.10gb fits 1 of 3 workloads, and is or may be wrong for 1: w1"
    hurts_too = advice(*[SMALL] * 4, LARGE, WHOLE, UNKNOWN, UNKNOWN)
    assert hurts_too.why_none.endswith(
        "wrong for 4: w6, w7, w4, w5; exclusive fits 1, and is or may be wrong for 7; "
        "mig-3g.40gb fits 1, and is or may be wrong for 3"
    )
    assert advice(SMALL, SMALL, WHOLE).why_none.endswith(
        "mig-1g.10gb fits 2, and is or may be wrong for 1; to be chosen, it must fit more than twice as many as need whole GPUs"
    )
    fewer = WorkloadVerdict(VerdictKind.FEWER, "exclusive")
    unsure = advice(SMALL, SMALL, SMALL, WHOLE, WHOLE, fewer, fewer, *[UNKNOWN] * 4)
    assert unsure.why_none.endswith("; mig-1g.10gb fits 3, and is or may be wrong for 8")
    assert advice(WHOLE, *[UNKNOWN] * 7).why_none.endswith("wrong for 7: w1, w2, w3, w4, w5 and 2 more")
    assert advice(SMALL, SMALL, UNKNOWN).policy == "mig-1g.10gb"
    assert advice(WHOLE, UNKNOWN).policy == ""
    assert advice(WHOLE, WHOLE, UNKNOWN).policy == "exclusive"
    assert advice(SLOT, WHOLE, stated="mps").policy == ""  # the one that names a slot, and needs one, would be denied


def test_none_where_no_workload_uses_its_gpus() -> None:
    found = advice(UNUSED, UNUSED)
    assert (found.policy, found.fits) == ("none", 2)
    assert found.before.startswith(
        "before you set the label, make sure that nothing in the namespace needs a GPU later"
    )
    assert advice(UNUSED, labelled="none").before == ""


def test_a_label_that_names_no_policy_is_reported() -> None:
    found = advice(SMALL, labelled="mig-1g.10gbb")
    assert found.label_problem.startswith('label gpuwarden.io/enforce can\'t be read ("mig-1g.10gbb" is not a policy')
    assert found.label_problem.endswith("is denied, unless the configuration (--config) has this policy")
    assert advice(SMALL, labelled="mig-1g.10gb").label_problem == advice(SMALL).label_problem == ""


def test_a_label_that_is_set_is_replaced_or_left() -> None:
    assert advice(SMALL, labelled="mps").label.endswith("gpuwarden.io/enforce=mig-1g.10gb --overwrite")
    same = advice(SMALL, labelled="mig-1g.10gb")
    assert (same.policy, same.label, same.preview) == ("mig-1g.10gb", "", "")


def test_a_workload_that_would_be_denied_does_not_get_the_policy() -> None:
    workloads = [
        evaluated("w0", "", WHOLE),
        evaluated("w1", "", WHOLE),
        evaluated("w2", "mps", UNKNOWN),
    ]
    found = advise("team", workloads, offered(shared=SHARED), NamespaceLabels(), trusted=True)
    assert (found.policy, denied(found), found.undecided) == ("exclusive", ("w2",), ())


def test_no_policy_that_would_hurt_as_many_as_it_would_help() -> None:
    has, whole = (
        evaluated("has", "mig-1g.10gb", SMALL, "mig-1g.10gb"),
        evaluated("whole", "", WHOLE, "exclusive"),
    )
    denied = evaluated("denied", "mig-2g.20gb", SMALL, "mig-2g.20gb")
    found = advise("team", [has, denied, whole], offered(), NamespaceLabels(), trusted=False)
    assert (found.policy, found.label, found.preview) == ("", "", "")
    assert (
        found.why_none
        == "mig-1g.10gb fits 1 of 3 workloads (it would deny 1: form-not-permitted), but would help 0 and be wrong for 1: whole; "
        "exclusive fits 1, and is or may be wrong for 2"
    )
    assert advise("team", [has, has, denied], offered(), NamespaceLabels(), trusted=False).policy == "mig-1g.10gb"
    assert advise("team", [has, denied], offered(), NamespaceLabels(), trusted=False).policy == ""
    assert (
        advise("team", [has, has, whole], offered(), NamespaceLabels("mig-1g.10gb"), trusted=False).policy
        == "mig-1g.10gb"
    )
    helped = [evaluated(f"helped{number}", "", SMALL, "exclusive") for number in range(2)]
    assert advise("team", [has, whole, helped[0]], offered(), NamespaceLabels(), trusted=False).policy == ""
    assert advise("team", [has, whole, *helped], offered(), NamespaceLabels(), trusted=False).policy == "mig-1g.10gb"


def test_requests_that_name_another_form_are_named() -> None:
    plain = [evaluated(f"plain{number}", "", SMALL, "exclusive") for number in range(2)]
    named = [evaluated(f"named{number}", "mig-3g.40gb", SMALL, "mig-3g.40gb") for number in range(3)]
    found = advise("team", [*plain, named[0]], offered(), NamespaceLabels(), trusted=False)
    assert (found.policy, denied(found)) == ("mig-1g.10gb", ("named0",))
    # No label that would deny all of the namespace.
    found = advise("team", named, offered(), NamespaceLabels(), trusted=False)
    assert (found.policy, found.label) == ("", "")
    assert found.why_none == (
        "mig-1g.10gb fits 0 of 3 workloads, and is or may be wrong for 3 (it would deny 3: form-not-permitted): "
        "named0, named1, named2"
    )
    # Nor one that would deny more than it fits as they are.
    found = advise("team", [*plain, *named], offered(), NamespaceLabels(), trusted=False)
    assert (found.policy, found.label) == ("", "")
    assert found.why_none.startswith(
        "mig-1g.10gb fits 2 of 5 workloads, and is or may be wrong for 3 (it would deny 3:"
    )
    assert advise("team", [*plain, *named[:2]], offered(), NamespaceLabels(), trusted=False).policy == ""
    assert advice(SMALL, stated="mig-1g.10gb").denies == ()
    assert advice(SLOT, stated="shared").denies == ()


def test_a_larger_slice_hurts_those_that_have_enough_with_a_smaller_one() -> None:
    has = evaluated("has", "", WorkloadVerdict(VerdictKind.AS_IT_IS, "mig-1g.10gb"), "mig-1g.10gb")
    middle = [evaluated(f"middle{number}", "", MIDDLE, "exclusive") for number in range(2)]
    found = advise("team", [has, *middle], offered(), NamespaceLabels(), trusted=False)
    assert (found.policy, found.hurts) == (
        "mig-2g.20gb",
        (HarmedWorkload("has", "has mig-1g.10gb, and would get mig-2g.20gb"),),
    )
    assert advise("team", [has, has, middle[0]], offered(), NamespaceLabels(), trusted=False).policy == ""
    full = structs.replace(has, verdict=LARGE)  # its slice is too small
    names = structs.replace(has, templates=(template("mig-1g.10gb"),))  # it would be denied
    found = advise("team", [full, *middle, *middle], offered(), NamespaceLabels(), trusted=False)
    assert found.hurts == (HarmedWorkload("has", "needs mig-3g.40gb"),)
    for verdict in (names.verdict, SMALL):
        named = structs.replace(names, verdict=verdict)
        found = advise("team", [named, *middle], offered(), NamespaceLabels(), trusted=False)
        assert (found.policy, found.hurts, denied(found), found.larger) == ("mig-2g.20gb", (), ("has",), ())


SEVERAL = PolicyBook(
    {"inference": Policy("inference", (form("mig-1g.10gb"), form("mig-2g.20gb")))}, NamespaceLabels("mig-1g.10gb")
)


def test_a_policy_in_force_that_gives_the_form_stays() -> None:
    plain = evaluated("plain", "", WorkloadVerdict(VerdictKind.AS_IT_IS, "mig-1g.10gb"), "mig-1g.10gb")
    named = evaluated("named", "mig-2g.20gb", WorkloadVerdict(VerdictKind.AS_IT_IS, "mig-2g.20gb"), "mig-2g.20gb")
    labelled = NamespaceLabels("inference")
    found = advise("team", [plain, named, named], offered(), labelled, trusted=False, policies=SEVERAL)
    assert (found.policy, found.fits, found.hurts, denied(found)) == ("inference", 3, (), ())
    assert (found.label, found.preview) == ("", "")
    found = advise("team", [plain], offered(), NamespaceLabels(), trusted=False, policies=SEVERAL)
    assert (found.policy, found.label, found.preview) == ("mig-1g.10gb", "", "")
    small = evaluated("small", "", SMALL, "exclusive")
    found = advise("team", [small], offered(), NamespaceLabels("any"), trusted=False, policies=SEVERAL)
    assert found.label.endswith("gpuwarden.io/enforce=mig-1g.10gb --overwrite")
    depends = Policy("depends", (form("mig-1g.10gb"),), prefer=Prefer.OFFERED)
    book = PolicyBook({"depends": depends})
    found = advise("team", [small], offered(), NamespaceLabels("depends"), trusted=False, policies=book)
    assert (found.policy, found.label) == ("depends", "")
    whole = structs.replace(small, verdict=WHOLE)
    depends = structs.replace(depends, forms=(form("mig-4g.40gb"), form("exclusive")))
    book = PolicyBook({"depends": depends})
    found = advise("team", [whole], offered(), NamespaceLabels("depends"), trusted=False, policies=book)
    assert found.policy == "exclusive"
    assert advise("team", [evaluated("w", "", UNUSED)], offered(), NamespaceLabels("none"), trusted=False).label == ""


def test_a_policy_helps_those_that_the_one_in_force_would_squeeze() -> None:
    whole = [evaluated(f"whole{number}", "", WHOLE, "exclusive") for number in range(2)]
    small = evaluated("small", "", SMALL, "exclusive")
    found = advise("team", [*whole, small], offered(), NamespaceLabels(), trusted=False, policies=SEVERAL)
    assert (found.policy, found.hurts, found.larger) == ("exclusive", (), ("small",))
    assert advise("team", [*whole, small], offered(), NamespaceLabels(), trusted=False).policy == ""


def test_a_policy_in_force_is_evaluated_by_what_it_gives_each_workload() -> None:
    kept = WorkloadVerdict(VerdictKind.AS_IT_IS, "mig-1g.10gb")
    named = [evaluated(f"w{number}", "mig-1g.10gb", kept, "mig-1g.10gb") for number in range(2)]
    whole_first = Policy("whole-first", (form("exclusive"), form("mig-1g.10gb")))
    rewrites = Policy("rewrites", (form("mig-2g.20gb"),), mismatch=Mismatch.REWRITE)
    by_memory = Policy("by-memory", (form("mig-1g.10gb"), form("mig-2g.20gb")), prefer=Prefer.MEMORY)
    book = PolicyBook({one.name: one for one in (whole_first, rewrites, by_memory)})

    def under(label: str, workloads: Sequence[EvaluatedWorkload]) -> NamespaceAdvice:
        return advise("team", workloads, offered(), NamespaceLabels(label), trusted=False, policies=book)

    found = under("whole-first", named)
    assert (found.policy, found.fits, found.label, denied(found)) == ("whole-first", 2, "", ())
    plain = [evaluated(f"w{number}", "", SMALL, "exclusive") for number in range(2)]
    assert under("whole-first", plain).label.endswith("enforce=mig-1g.10gb --overwrite")

    enlarged = [structs.replace(one, verdict=SMALL, form="mig-2g.20gb") for one in named]
    found = under("rewrites", enlarged)
    assert (found.policy, found.fits, denied(found)) == ("mig-1g.10gb", 2, ())
    needed = WorkloadVerdict(VerdictKind.AS_IT_IS, "mig-2g.20gb")
    found = under("rewrites", [structs.replace(one, verdict=needed) for one in enlarged])
    assert (found.policy, found.fits, denied(found)) == ("rewrites", 2, ())

    asks = evaluated("asks", "", MIDDLE, "exclusive", memory=16_384)
    found = under("by-memory", [*plain, asks])
    assert (found.policy, found.fits, found.hurts, found.larger) == ("by-memory", 3, (), ())
    found = under(
        "by-memory", [*plain, structs.replace(asks, verdict=WHOLE, templates=(template("mig-3g.40gb", memory=60_000),))]
    )
    assert found.policy == ""


def test_a_policy_in_force_that_fits_nobody_does_not_stay() -> None:
    one = evaluated("one", "mig-1g.10gb", WorkloadVerdict(VerdictKind.AS_IT_IS, "mig-1g.10gb"), "mig-1g.10gb")
    two = evaluated("two", "mig-2g.20gb", WorkloadVerdict(VerdictKind.AS_IT_IS, "mig-2g.20gb"), "mig-2g.20gb")
    assert advise("team", [one, two], offered(), NamespaceLabels("mig-3g.40gb"), trusted=False).policy == ""
    apart = [evaluated("slot", "", SLOT, "exclusive"), evaluated("slice", "", SMALL, "exclusive")]
    found = advise("team", apart, offered(shared=SHARED), NamespaceLabels("exclusive"), trusted=True)
    assert found.why_none.startswith("mig-1g.10gb fits 1 of 2 workloads, but would help 1 and be wrong for 1: slot")
    slot = evaluated("slot", "", OTHER_SLOT, "exclusive")
    found = advise("team", [slot], offered(shared=SHARED), NamespaceLabels("mps"), trusted=True)
    assert found.policy == "time-slicing"


def test_the_limit_of_a_policy_in_force_denies_and_is_no_reason_for_another_policy() -> None:
    limited = PolicyBook({"limited": Policy("limited", (form("exclusive"),), max_per_pod=2)})
    workloads = [evaluated(f"w{gpus}", "", FOUR, "exclusive", gpus=gpus) for gpus in (1, 2, 4)]
    found = advise("team", workloads, offered(), NamespaceLabels("limited"), trusted=False, policies=limited)
    assert (found.policy, found.fits, found.hurts, denied(found)) == ("limited", 2, (), ("w4",))
    assert found.denies[0].why == (
        'pod: its containers request 4 GPUs at once; namespace policy "limited" permits 2 per pod; request at most 2'
    )
    found = advise("team", workloads[1:], offered(), NamespaceLabels("limited"), trusted=False, policies=limited)
    why = "limited fits 1 of 2 workloads, and is or may be wrong for 1 (it would deny 1: per-pod-limit): w4"
    assert (found.policy, found.why_none) == ("", why)


def test_a_policy_in_force_that_permits_sharing_stays_where_plain_requests_are_not_shared() -> None:
    policy = Policy("either", (form("exclusive"), form("time-slicing")))
    turned = Policy("turned", policy.forms[::-1])
    shares_first = Policy("shares-first", (form("time-slicing"), form("mig-1g.10gb")))
    book = PolicyBook({one.name: one for one in (policy, turned, shares_first)})
    whole = [evaluated(f"whole{number}", "", WHOLE, "exclusive") for number in range(2)]
    shares = evaluated("shares", "shared", WorkloadVerdict(VerdictKind.AS_IT_IS, "time-slicing"), "time-slicing")

    def under(label: str, *workloads: EvaluatedWorkload, trusted: bool = False) -> str:
        found = offered(shared=SHARED)
        return advise("team", workloads, found, NamespaceLabels(label), trusted=trusted, policies=book).policy

    assert under("either", *whole, shares) == "either"
    assert under("turned", shares) == ""
    sliced = evaluated("w", "mig-1g.10gb", WorkloadVerdict(VerdictKind.AS_IT_IS, "mig-1g.10gb"), "mig-1g.10gb")
    assert under("shares-first", sliced, shares) == ""
    assert under("shares-first", sliced, shares, trusted=True) == "shares-first"
    assert under("shares-first", sliced) == "mig-1g.10gb"
    assert under("turned", shares, trusted=True) == "turned"
    assert under("either", whole[0], shares, shares) == "either"  # a policy of sharing would fit most, and less than it


def test_a_policy_in_force_stays_although_nodes_have_another_form_of_it_under_other_names() -> None:
    book = PolicyBook({"either": Policy("either", (form("exclusive"), form("mps")))})
    whole = evaluated("whole", "", WHOLE, "exclusive")
    shares = evaluated("shares", "mps", WorkloadVerdict(VerdictKind.AS_IT_IS, "mps"), "mps")
    found = structs.replace(offered(), mismatched=frozenset({"mps"}))
    made = advise("team", [whole, shares, shares], found, NamespaceLabels("either"), trusted=True, policies=book)
    assert (made.policy, made.fits) == ("either", 3)


def test_the_reason_against_the_policy_in_force_names_the_other_forms_and_not_its_own() -> None:
    book = PolicyBook({"either": Policy("either", (form("exclusive"), form("mps")))})
    whole = evaluated("whole", "", WHOLE, "exclusive")
    shares = evaluated("shares", "mps", WorkloadVerdict(VerdictKind.AS_IT_IS, "mps"), "mps")
    unknown = [evaluated(f"u{number}", "", WorkloadVerdict(VerdictKind.UNKNOWN)) for number in range(3)]
    every = [whole, shares, shares, *unknown]
    found = advise("team", every, offered(), NamespaceLabels("either"), trusted=True, policies=book)
    assert (found.why_none or "").startswith("either fits 3 of 6 workloads, and is or may be wrong for 3: ")
    assert "; mps fits 2" in (found.why_none or "")
    assert "exclusive" not in (found.why_none or "")


def test_the_reason_names_five_other_forms() -> None:
    names = [f"mig-{name}" for name in ("1g.5gb", "1g.10gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb")]
    kept = [WorkloadVerdict(VerdictKind.AS_IT_IS, name) for name in names]
    found = advice(WHOLE, *kept, WorkloadVerdict(VerdictKind.UNKNOWN))
    assert (found.why_none or "").count(" fits ") == 6


def test_a_workload_without_use_that_names_another_form_is_no_reason_against_a_policy() -> None:
    unused = evaluated("idle", "mig-1g.10gb", WorkloadVerdict(VerdictKind.UNUSED, "none"), "mig-1g.10gb")
    whole = evaluated("whole", "", WHOLE, "exclusive")
    found = advise("team", [whole, unused], offered(), NamespaceLabels(), trusted=False)
    assert (found.policy, denied(found)) == ("exclusive", ("idle",))


def test_a_policy_helps_those_that_the_one_in_force_denies() -> None:
    kept = WorkloadVerdict(VerdictKind.AS_IT_IS, "mig-1g.10gb")
    named = [evaluated(f"w{number}", "mig-1g.10gb", kept, "mig-1g.10gb") for number in range(2)]
    whole = evaluated("whole", "", WHOLE, "exclusive")
    found = advise("team", [*named, whole], offered(), NamespaceLabels(), trusted=False)
    assert (
        found.why_none == "mig-1g.10gb fits 2 of 3 workloads, but would help 0 and be wrong for 1: whole; "
        "exclusive fits 1, and is or may be wrong for 2"
    )
    found = advise("team", [*named, named[0], whole], offered(), NamespaceLabels("gone"), trusted=False)
    assert (found.policy, found.hurts) == ("mig-1g.10gb", (HarmedWorkload("whole", "needs a whole GPU"),))


def test_a_form_that_is_shared_by_chance_is_no_reason_against_the_policy_in_force() -> None:
    """With renameByDefault: false, older pods without node selectors run on nodes that share their GPUs."""
    not_renamed = DevicePlugin(rename_by_default=False)
    unknown = WorkloadVerdict(VerdictKind.AS_IT_IS, "time-slicing", is_need_unknown=True)
    older = evaluated("older", "", unknown, "time-slicing")

    def under(label: str | None, *workloads: EvaluatedWorkload) -> NamespaceAdvice:
        labels = NamespaceLabels(label)
        return advise("team", workloads, offered(shared=SHARED), labels, trusted=True, plugin=not_renamed)

    found = under("exclusive", older)
    assert (found.policy, found.label, found.undecided) == ("", "", ("older",))
    assert found.why_none == "which form is enough is not known of older"
    found = under("exclusive", older, *(evaluated(f"w{number}", "", WHOLE) for number in range(2)))
    assert (found.policy, found.fits, found.undecided) == ("exclusive", 2, ("older",))
    assert under("none", older).policy == ""
    # Without a policy, or with one that gives this form, it is a reason.
    assert under(None, older).policy == under("time-slicing", older).policy == "time-slicing"
    # As is a share that is known to be enough.
    known = WorkloadVerdict(VerdictKind.AS_IT_IS, "time-slicing")
    assert under("exclusive", evaluated("w", "", known, "time-slicing")).label.endswith("=time-slicing --overwrite")


def test_policies_are_applied_with_the_settings_of_the_device_plugin() -> None:
    """Under MIG strategy single, slices have no name of their own, so a policy can't give this template any."""
    single = DevicePlugin(mig_strategy=MigStrategy.SINGLE)
    selects = template(more={"nodeSelector": {"nvidia.com/gpu.product": f"NVIDIA-{A100}"}})
    pinned = EvaluatedWorkload("pinned", SMALL, "exclusive", (selects,))
    workloads = [pinned, *(evaluated(f"w{number}", "", SMALL, "exclusive") for number in range(2))]
    found = advise("team", workloads, offered(), NamespaceLabels(), trusted=False, plugin=single)
    assert (found.policy, found.fits, denied(found)) == ("mig-1g.10gb", 2, ("pinned",))
    found = advise("team", workloads, offered(), NamespaceLabels(), trusted=False)
    assert (found.policy, found.fits, denied(found)) == ("mig-1g.10gb", 3, ())


def test_a_workload_that_is_hurt_or_denied_does_not_fit() -> None:
    slots = [evaluated(f"w{number}", "", SLOT, "exclusive") for number in range(4)]
    several = evaluated("several", "", SLOT, "exclusive", gpus=2)
    found = advise("team", [*slots, several], offered(shared=SHARED), NamespaceLabels(), trusted=True)
    assert (found.policy, found.fits, found.workloads, denied(found)) == ("mps", 4, 5, ("several",))
    assert found.denies[0].why.startswith(
        'container "train": nvidia.com/gpu: 2 cannot be shared under namespace policy "mps"'
    )
    # Who is denied keeps the smaller slice, so the larger one does not hurt it.
    names_it = evaluated("names-it", "mig-1g.10gb", SMALL, "mig-1g.10gb")
    found = advise("team", [names_it, evaluated("w", "", MIDDLE, "exclusive")], offered(), NO_LABELS, trusted=False)
    assert found.why_none.startswith(
        "mig-2g.20gb fits 1 of 2 workloads, and is or may be wrong for 1 (it would deny 1: "
    )
