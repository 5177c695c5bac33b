"""Forms: the values that name them, and when two are one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import a_form
from tests.engine.strategies import listed_forms
from webhook.engine.forms import Form, Platform, Sharing, meet_sharing, parse
from webhook.engine.mig_profiles import DOCUMENTED, PROFILE

GKE, PLUGIN = Platform.GKE, Platform.DEVICE_PLUGIN

NAMED = [
    ("exclusive", Form()),
    ("shared", Form(sharing=Sharing.ANY)),
    ("time-slicing", Form(sharing=Sharing.TIME_SLICING)),
    ("mps", Form(sharing=Sharing.MPS)),
    ("mig-1g.5gb", Form("1g.5gb")),
    ("mig-1g.5gb-shared", Form("1g.5gb", Sharing.ANY)),
    ("mig-1g.24gb.me.all", Form("1g.24gb.me.all")),
    ("mig-1g.24gb.me.all-shared", Form("1g.24gb.me.all", Sharing.ANY)),
    ("mig-1g.24gb-me", Form("1g.24gb-me")),
    ("mig-1g.24gb-me-shared", Form("1g.24gb-me", Sharing.ANY)),
    ("gke-exclusive", Form(platform=GKE)),
    ("gke-time-sharing-2", Form(None, Sharing.TIME_SLICING, GKE, 2)),
    ("gke-time-sharing-48", Form(None, Sharing.TIME_SLICING, GKE, 48)),
    ("gke-mps-4", Form(None, Sharing.MPS, GKE, 4)),
    ("gke-mig-1g.5gb", Form("1g.5gb", Sharing.NONE, GKE)),
    ("gke-mig-1g.24gb-me", Form("1g.24gb-me", Sharing.NONE, GKE)),
    ("gke-mig-1g.5gb-time-sharing-3", Form("1g.5gb", Sharing.TIME_SLICING, GKE, 3)),
    ("gke-mig-1g.24gb-me-mps-48", Form("1g.24gb-me", Sharing.MPS, GKE, 48)),
]


@pytest.mark.parametrize(("value", "form"), NAMED, ids=[value for value, _ in NAMED])
def test_a_policy_value_names_its_form_and_the_form_its_value(value: str, form: Form) -> None:
    assert parse(value) == form
    assert str(form) == value


@given(listed_forms())
def test_every_form_that_a_policy_can_list_reads_back_from_its_value(form: Form) -> None:
    assert parse(str(form)) == form


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="nothing"),
        pytest.param("any", id="any is a policy, not a form"),
        pytest.param("none", id="none is a policy, not a form"),
        pytest.param("Shared", id="a capital"),
        pytest.param("shared ", id="a space behind"),
        pytest.param("shared\n", id="a line break behind"),
        pytest.param("mig-", id="no profile"),
        pytest.param("mig-1g", id="half a profile"),
        pytest.param("mig-1g.5gb+me", id="a plus sign, which no label may hold"),
        pytest.param("mig-1c.3g.20gb", id="a compute instance"),
        pytest.param("mig-0g.5gb", id="a profile of nothing"),
        pytest.param("mig-1g.0gb", id="a profile without memory"),
        pytest.param("mig-1g.05gb", id="a leading zero"),
        pytest.param("mig-1g.10000gb", id="more memory than any GPU has"),
        pytest.param("mig-100g.5gb", id="more slices than any GPU has"),
        pytest.param("mig-1g.5gb-mps", id="MPS on slices, which the device plugin has not"),
        pytest.param("mig-1g.5gb.shared", id="the end of the resource's name"),
        pytest.param("gke", id="a platform alone"),
        pytest.param("gke-", id="a platform and a dash"),
        pytest.param("gke-shared", id="sharing that GKE does not name"),
        pytest.param("gke-mps", id="no client count"),
        pytest.param("gke-mps-", id="an empty client count"),
        pytest.param("gke-mps-0", id="no clients"),
        pytest.param("gke-mps-1", id="too few clients to share"),
        pytest.param("gke-mps-49", id="too many clients"),
        pytest.param("gke-mps-04", id="a client count with a leading zero"),
        pytest.param("gke-mps-4.0", id="a client count with a fraction"),
        pytest.param("gke-mps-\u0664", id="a client count of another script"),
        pytest.param("gke-mps-4444444", id="a very long client count"),
        pytest.param("gke-time-slicing-4", id="the device plugin's word for time-sharing"),
        pytest.param("time-sharing", id="GKE's word for time-slicing"),
        pytest.param("gke-mig-1g.5gb-shared", id="shared slices without the way"),
    ],
)
def test_anything_else_names_none(value: str) -> None:
    assert parse(value) is None


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        (Form(None, Sharing.MPS, GKE), "gke-mps"),
        (Form(None, Sharing.ANY, GKE, 4), "gke-shared-4"),
        (Form("1g.5gb", Sharing.TIME_SLICING, GKE), "gke-mig-1g.5gb-time-sharing"),
        (Form("1g.5gb", Sharing.TIME_SLICING), "mig-1g.5gb-time-slicing"),
    ],
    ids=str,
)
def test_what_a_request_leaves_open_shows_as_a_shorter_value(form: Form, shown: str) -> None:
    assert str(form) == shown


def test_a_form_is_shared_unless_its_sharing_is_none() -> None:
    assert {value: form.shared for value, form in NAMED} == {
        value: any(word in value for word in ("shared", "sharing", "slicing", "mps")) for value, _ in NAMED
    }


def test_policies_do_not_name_how_slices_are_shared() -> None:
    slots = Form("1g.5gb", Sharing.TIME_SLICING)
    assert (parse(str(slots)), str(slots.as_listed)) == (None, "mig-1g.5gb-shared")
    for form in (Form(), Form("1g.5gb"), Form(sharing=Sharing.MPS), Form("1g.5gb", Sharing.MPS, Platform.GKE, 4)):
        assert form.as_listed == form


@pytest.mark.parametrize("profile", DOCUMENTED)
def test_every_documented_profile_is_one(profile: str) -> None:
    assert re.fullmatch(PROFILE, profile)
    assert a_form(f"mig-{profile}").partition == profile


@pytest.mark.parametrize("text", ["", "1g.5gb.shared", "1g.5gb+me", "x1g.5gb", "1g.5gb.me.gfx", "1g.5gb\n"])
def test_other_text_is_no_profile(text: str) -> None:
    assert not re.fullmatch(PROFILE, text)


MEETINGS = [
    ("exclusive", "exclusive", "exclusive"),
    ("exclusive", "shared", None),
    ("exclusive", "mps", None),
    ("shared", "shared", "shared"),
    ("shared", "mps", "mps"),
    ("shared", "time-slicing", "time-slicing"),
    ("time-slicing", "mps", None),
    ("mig-1g.5gb", "mig-1g.5gb", "mig-1g.5gb"),
    ("mig-1g.5gb", "exclusive", None),
    ("mig-1g.5gb", "mig-2g.10gb", None),
    ("mig-1g.5gb", "mig-1g.5gb-shared", None),
    ("gke-mps-4", "gke-mps-4", "gke-mps-4"),
    ("gke-mps-4", "gke-mps-8", None),
    ("gke-mps-4", "gke-time-sharing-4", None),
    ("gke-exclusive", "gke-exclusive", "gke-exclusive"),
    ("gke-exclusive", "exclusive", None),
    ("gke-mps-4", "mps", None),
]


@pytest.mark.parametrize(("one", "other", "both"), MEETINGS)
def test_two_forms_meet_in_the_more_specific_or_exclude_each_other(one: str, other: str, both: str | None) -> None:
    expected = None if both is None else a_form(both)

    assert a_form(one).meet(a_form(other)) == expected
    assert a_form(other).meet(a_form(one)) == expected


def test_a_client_count_that_is_left_open_is_the_other_forms() -> None:
    left_open = Form(None, Sharing.MPS, GKE)

    assert left_open.meet(a_form("gke-mps-4")) == a_form("gke-mps-4")
    assert a_form("gke-mps-4").meet(left_open) == a_form("gke-mps-4")
    assert left_open.meet(left_open) == left_open


ELSEWHERE = [
    ("mig-1g.5gb", "gke-mig-1g.5gb", "gke-mig-1g.5gb"),
    ("gke-mig-1g.5gb", "mig-1g.5gb", "mig-1g.5gb"),
    ("exclusive", "gke-exclusive", "gke-exclusive"),
    ("gke-exclusive", "exclusive", "exclusive"),
    ("shared", "gke-mps-4", "gke-mps-4"),
    ("mps", "gke-mps-4", "gke-mps-4"),
    ("mps", "gke-time-sharing-4", None),
    ("time-slicing", "gke-time-sharing-4", "gke-time-sharing-4"),
    ("gke-time-sharing-4", "time-slicing", "time-slicing"),
    ("gke-mps-4", "shared", "mps"),
    ("gke-mig-1g.5gb-time-sharing-4", "mig-2g.10gb-shared", None),
    ("gke-mig-1g.5gb-mps-4", "mig-1g.5gb-shared", None),
    ("mig-1g.5gb-shared", "gke-mig-1g.5gb-mps-4", "gke-mig-1g.5gb-mps-4"),
    ("exclusive", "gke-mig-1g.5gb", None),
]


@pytest.mark.parametrize(("form", "listed", "elsewhere"), ELSEWHERE)
def test_across_platforms_the_same_form_is_the_listed_ones(form: str, listed: str, elsewhere: str | None) -> None:
    expected = None if elsewhere is None else a_form(elsewhere)

    assert a_form(form).meet(a_form(listed), across_platforms=True) == expected


def test_a_slot_of_a_slice_keeps_its_means_across_platforms() -> None:
    met = a_form("gke-mig-1g.5gb-time-sharing-4").meet(a_form("mig-1g.5gb-shared"), across_platforms=True)

    assert met == Form("1g.5gb", Sharing.TIME_SLICING, PLUGIN)


@given(st.sampled_from(Sharing), st.sampled_from(Sharing))
def test_sharing_meets_alike_from_both_sides(one: Sharing, other: Sharing) -> None:
    assert meet_sharing(one, other) == meet_sharing(other, one)


@given(one=listed_forms(), other=listed_forms(), across=st.booleans())
def test_what_two_forms_meet_in_is_both(one: Form, other: Form, *, across: bool) -> None:
    met = one.meet(other, across_platforms=across)
    if met is not None:
        assert met.meet(other) == met
        assert one.platform is not other.platform or met.meet(one) == met
