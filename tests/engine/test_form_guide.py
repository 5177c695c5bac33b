"""The guide to forms: every form has one, and no two kinds read the same."""

from itertools import combinations

import pytest

from webhook.engine.form_guide import CRITERIA, GUIDES, PLATFORM_TRAPS, FormKind, guide_to
from webhook.engine.forms import Form, Platform, Sharing, parse


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("exclusive", FormKind.EXCLUSIVE),
        ("gke-exclusive", FormKind.EXCLUSIVE),
        ("shared", FormKind.SHARED),
        ("time-slicing", FormKind.TIME_SLICING),
        ("gke-time-sharing-4", FormKind.TIME_SLICING),
        ("mps", FormKind.MPS),
        ("gke-mps-4", FormKind.MPS),
        ("mig-1g.5gb", FormKind.MIG),
        ("gke-mig-1g.5gb", FormKind.MIG),
        ("mig-1g.5gb-shared", FormKind.MIG_SHARED),
        ("gke-mig-1g.5gb-time-sharing-4", FormKind.MIG_SHARED),
        ("gke-mig-1g.5gb-mps-4", FormKind.MIG_MPS),
    ],
)
def test_every_policy_value_of_a_form_has_the_guide_of_its_kind(value: str, kind: FormKind) -> None:
    form = parse(value)
    assert form is not None
    assert guide_to(form).kind is kind


def test_every_form_has_a_guide() -> None:
    for partition in (None, "1g.5gb"):
        for sharing in Sharing:
            for platform in Platform:
                assert guide_to(Form(partition, sharing, platform)).kind in GUIDES


def test_every_kind_and_platform_is_described_in_sentences() -> None:
    assert list(GUIDES) == list(dict.fromkeys([guide.kind for guide in GUIDES.values()]))
    assert set(GUIDES) == set(FormKind)
    assert set(PLATFORM_TRAPS) == set(Platform)
    for guide in GUIDES.values():
        sentences = [
            guide.description,
            *(criterion.detail for _, criterion in guide.criteria),
            *guide.suits,
            *guide.traps,
        ]
        assert all(text.endswith(".") and text[0].isupper() for text in sentences), guide.kind
        assert guide.suits
        assert guide.traps
        assert all(source.startswith("https://") for source in guide.sources)
        assert [title for title, _ in guide.criteria] == [title for _, title in CRITERIA]


@pytest.mark.parametrize("kind", [guide.kind for guide in GUIDES.values()])
def test_what_holds_of_nvidias_device_plugin_only_says_so(kind: FormKind) -> None:
    """GKE has a device plugin of its own, and the same guides are shown for its forms."""
    guide = GUIDES[kind]
    texts = [*(criterion.detail for _, criterion in guide.criteria), *guide.traps]
    for sentence in (one for text in texts for one in text.split(". ")):
        if "experimental" in sentence or "no MPS" in sentence:
            assert sentence.startswith("NVIDIA's device plugin"), sentence
        if "number of replicas" in sentence or "replicas of each GPU" in sentence:
            assert "GKE" in sentence, sentence


def test_no_two_kinds_are_alike() -> None:
    for one, other in combinations(GUIDES.values(), 2):
        assert (one.title, one.description) != (other.title, other.description)
        assert one.criteria != other.criteria


def test_only_whole_gpus_and_slices_isolate() -> None:
    isolated = {kind for kind, guide in GUIDES.items() if guide.memory_isolation.value == "yes"}
    assert isolated == {kind for kind, guide in GUIDES.items() if guide.fault_isolation.value == "yes"}
    assert isolated == {FormKind.EXCLUSIVE, FormKind.MIG}
