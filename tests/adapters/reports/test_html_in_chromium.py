"""The page in a real browser: looked at, filtered, sorted, by mouse and keyboard, in light and dark, on a phone.

With ``GPUWARDEN_SCREENSHOTS=FOLDER`` pictures of it are left there, for a person to look at.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.reports import in_page
from tests.adapters.reports.chromium import Chromium, find
from tests.adapters.reports.fleets import evaluated, labelled, many, reported, seen, three
from tests.adapters.reports.test_html import HOSTILE
from tests.application.recommendation.cases import series, workload
from tests.application.recommendation.test_recommend import recommended
from tests.builders import a_pod as a_template
from tests.builders import gpu
from tests.cli.test_fleet import a_namespace, a_pod
from tests.cli.test_fleet_option import a_node
from webhook.adapters.kubernetes import fleets
from webhook.adapters.reports.audit_changes import read_earlier
from webhook.adapters.reports.fleet_report import FleetReport, fleet_report
from webhook.adapters.reports.html import fleet_html, html
from webhook.adapters.reports.recommend_html import html as recommend_html
from webhook.application.configuration import Configuration
from webhook.application.deciders import Installed, PodWebhook
from webhook.application.fleet_view import PodCount, view
from webhook.engine.fleet.fleet import Fleet

pytestmark = pytest.mark.programs
SETTLED = "new Promise((done) => setTimeout(done, 50))"
PHONE, TABLET, DESKTOP = 375, 768, 1280


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    program = find()
    if program is None:
        if os.environ.get("GPUWARDEN_REQUIRE_CHROMIUM") == "1":
            pytest.fail("GPUWARDEN_REQUIRE_CHROMIUM=1 and there is no Chromium; on Debian: apt-get install chromium")
        pytest.skip("no Chromium to look at the page with; on Debian: apt-get install chromium")
    with Chromium(program, tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of three workloads."""
    page = tmp_path_factory.mktemp("small") / "three.html"
    page.write_text(html(reported(three(), assumptions=["*=shared"], notes=["a note"])), encoding="utf-8")
    return page


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of five thousand."""
    page = tmp_path_factory.mktemp("large") / "5000.html"
    page.write_text(html(reported(many(5_000))), encoding="utf-8")
    return page


def keep_picture(browser: Chromium, name: str) -> None:
    if folder := os.environ.get("GPUWARDEN_SCREENSHOTS"):
        browser.screenshot(Path(folder) / f"{name}.png")


def shown(browser: Chromium) -> list[str]:
    names: list[str] = browser.run(in_page.NAMES)
    return names


def choose(browser: Chromium, control: str, value: str) -> None:
    """Choose in a list, as a person does."""
    browser.run(
        f"(e => {{ e.value = {value!r}; e.dispatchEvent(new Event('input', {{bubbles: true}}));"
        f"e.dispatchEvent(new Event('change', {{bubbles: true}})); }})(document.getElementById({control!r}))"
    )


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("size", ["small", "large"])
def test_the_page_fits_asks_for_nothing_and_complains_of_nothing(
    browser: Chromium,
    size: str,
    width: int,
    dark: bool,  # noqa: FBT001 - a parameter of the test
    request: pytest.FixtureRequest,
) -> None:
    page: Path = request.getfixturevalue(size)
    browser.open(page, width=width, height=900, dark=dark)

    browser.run("document.querySelector('tr.group button[aria-expanded=false]')?.click()")
    assert browser.requests() == [page.as_uri()]
    assert browser.complaints() == []
    assert browser.run("[innerWidth, document.documentElement.scrollWidth]") == [width, width]
    assert browser.run(in_page.OVERFLOWING) == []
    assert (
        browser.run("Math.max(...[...document.querySelectorAll('.badge')].slice(0, 20).map((e) => e.offsetHeight))")
        < 30
    )
    keep_picture(browser, f"{size}-{width}-{'dark' if dark else 'light'}")


def a_fleet() -> FleetReport:
    """Nodes in every state, many of one shape, and pods that wait."""
    labels = {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB"}
    taint = {"key": "team", "value": "a-team-with-a-long-name", "effect": "NoSchedule"}
    items = [
        *(a_node(f"n{number}", labels=labels) for number in range(60)),
        a_node("c", labels=labels, unschedulable=True),
        a_node("t", labels=labels, taints=[taint]),
        a_node("m", "nvidia.com/mig-1g.5gb", labels=labels | {"nvidia.com/mig.config.state": "failed"}),
        *(a_pod(f"p{number}", count=5, node=f"n{number}") for number in range(60)),
        a_pod("waits", "nvidia.com/gpu.shared"),
        a_namespace(),
    ]
    configuration = Configuration()
    objects = fleets.read_saved(json.dumps({"kind": "List", "items": items}).encode(), ())
    nodes = objects.gpu_nodes(())
    fleet = Fleet(Counter(node.shape for node in nodes))
    pods = PodCount(item.pod for item in objects.pods or ())
    webhooks = [PodWebhook("validate.gpuwarden.io")]
    deciders = Installed([], webhooks).policies(configuration, objects.labels or {})
    return fleet_report(view(configuration, fleet, nodes, pods, objects.labels), objects, deciders)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, TABLET, DESKTOP])
@pytest.mark.parametrize("of", ["fleet", "audit"])
def test_the_picture_of_a_fleet_fits_and_can_be_read(
    browser: Chromium,
    tmp_path: Path,
    width: int,
    of: str,
    dark: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    fleet = a_fleet()
    page = tmp_path / f"{of}.html"
    page.write_text(fleet_html(fleet) if of == "fleet" else html(reported(three(), fleet=fleet)), encoding="utf-8")
    browser.open(page, width=width, height=900, dark=dark)

    assert browser.requests() == [page.as_uri()]
    assert browser.complaints() == []
    assert browser.run("[innerWidth, document.documentElement.scrollWidth]") == [width, width]
    assert browser.run(in_page.OVERFLOWING) == []
    assert browser.run(in_page.CONTRAST)["poor"] == []
    # 300 of 496 are in use, 16 on nodes that take no pods or few: each part is as wide as its share.
    parts = (
        "['used', 'free', 'blocked'].map((c) => Math.round(document.querySelector(`.full .${c}`).width.baseVal.value))"
    )
    assert browser.run(parts) == [60, 38, 2]
    assert browser.run("document.querySelectorAll('.shape')[0].querySelectorAll('.node').length") == 48
    assert "form-not-offered no node offers shared" in browser.run("document.body.innerText")
    keep_picture(browser, f"{of}-with-nodes-{width}-{'dark' if dark else 'light'}")


@pytest.mark.parametrize("width", [400, 1024, 1600])
def test_the_page_of_a_recommendation_fits(browser: Chromium, tmp_path: Path, width: int) -> None:
    long_name = "inference-of-the-largest-model-that-there-is-" + "x" * 40
    workloads = [
        workload("w", requests=("nvidia.com/mig-3g.40gb: 1",)),
        workload(long_name, claimed=True, form="claim", not_evaluated="requested by a claim: it may be met in 2 ways"),
        workload("unknown", requests=(f"claim {long_name}: {long_name}.example.com: 1",)),
    ]
    page = tmp_path / "recommend.html"
    page.write_text(recommend_html(recommended(workloads, [series()])), encoding="utf-8")
    browser.open(page, width=width, height=900)
    assert browser.requests() == [page.as_uri()]
    assert browser.complaints() == []
    assert browser.run("[innerWidth, document.documentElement.scrollWidth]") == [width, width]
    assert browser.run(in_page.OVERFLOWING) == []
    assert (
        browser.run("[...document.querySelectorAll('.fits td')].filter((e) => e.scrollWidth > e.clientWidth).length")
        == 0
    )
    # No line ends between a number and its unit.
    assert "p95 10\u00a0%" in browser.run("document.querySelector('.fits').textContent")
    keep_picture(browser, f"recommend-{width}")


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_all_text_has_the_contrast_that_wcag_aa_asks_for(
    browser: Chromium,
    small: Path,
    width: int,
    dark: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    browser.open(small, width=width, dark=dark)
    found = browser.run(in_page.CONTRAST)
    assert found["seen"] > 100
    assert found["poor"] == []


def test_poor_contrast_would_be_found(browser: Chromium, small: Path) -> None:
    browser.open(small)
    browser.run("document.querySelector('.about').style.color = '#999'")
    assert browser.run(in_page.CONTRAST)["poor"]


def test_dark_is_dark_and_light_is_light(browser: Chromium, small: Path) -> None:
    colors = []
    for dark in (False, True):
        browser.open(small, dark=dark)
        colors.append(browser.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"))
    assert min(colors[0]) > 200
    assert max(colors[1]) < 60


def test_hostile_names_are_names(browser: Chromium, tmp_path: Path) -> None:
    page = tmp_path / "hostile.html"
    made = evaluated([seen(a_template(gpu(2, name=HOSTILE)), name=HOSTILE, namespace="a")], labelled(a="shared"))
    page.write_text(html(reported(made, notes=[HOSTILE])), encoding="utf-8")

    browser.open(page)

    assert browser.run("typeof window.pwned") == "undefined"
    assert browser.requests() == [page.as_uri()]
    assert browser.complaints() == []
    assert shown(browser) == [HOSTILE]


def test_a_script_that_got_in_all_the_same_would_not_run(browser: Chromium, small: Path, tmp_path: Path) -> None:
    page = tmp_path / "injected.html"
    text = small.read_text(encoding="utf-8")
    injected = text.replace(
        "<main>", "<main><script>window.pwned=1</script><img src=https://example.com/x onerror=window.pwned=1>"
    )
    page.write_text(injected, encoding="utf-8")

    browser.open(page)

    assert browser.run("typeof window.pwned") == "undefined"
    assert browser.sent() == [page.as_uri()], "nor was the picture asked for"
    assert browser.complaints(), "and the browser says why"


class TestFilter:
    def test_shows_everything_at_first_and_says_how_much_that_is(self, browser: Chromium, small: Path) -> None:
        browser.open(small)
        assert shown(browser) == ["sweep", "llm", "llama"]
        assert browser.run("document.getElementById('shown').value") == "3 of 3 match"

    def test_by_words_looks_for_all_of_them_in_all_of_a_workload(self, browser: Chromium, small: Path) -> None:
        browser.open(small)
        browser.run("document.getElementById('text').focus()")
        browser.type("VLLM mig-1g")
        assert shown(browser) == ["llm"]
        assert browser.run("document.getElementById('shown').value") == "1 of 3 match"

    def test_by_words_that_fit_nothing_says_so(self, browser: Chromium, small: Path) -> None:
        browser.open(small)
        browser.run("document.getElementById('text').focus()")
        browser.type("nowhere")
        assert shown(browser) == []
        assert browser.run("document.getElementById('nothing').checkVisibility()")

    @pytest.mark.parametrize(
        ("control", "value", "names"),
        [
            ("outcome", "rewritten", ["llm"]),
            ("namespace", "training", ["llama"]),
            ("rule", "shared-request-above-one", ["sweep"]),
        ],
    )
    def test_by_a_choice_shows_what_is_so(
        self, browser: Chromium, small: Path, control: str, value: str, names: list[str]
    ) -> None:
        browser.open(small)
        choose(browser, control, value)
        assert shown(browser) == names
        browser.run("document.querySelector('[type=reset]').click()")
        browser.run("new Promise((done) => setTimeout(done))")
        assert len(shown(browser)) == 3

    @pytest.mark.parametrize(
        ("link", "names"),
        [
            ("[data-outcome=denied]", ["sweep"]),
            ("[data-rule=shared-request-above-one]", ["sweep"]),
            ("[data-namespace=inference]", ["llm"]),
        ],
    )
    def test_follows_from_what_is_counted_further_up(
        self, browser: Chromium, small: Path, link: str, names: list[str]
    ) -> None:
        browser.open(small)
        browser.run(f"document.querySelector('{link}').click()")
        browser.run("new Promise((done) => setTimeout(done))")
        assert shown(browser) == names
        assert browser.run("location.hash") == "#" + link.strip("[]").removeprefix("data-")

    def test_finds_one_of_5_000(self, browser: Chromium, large: Path) -> None:
        browser.open(large)
        assert shown(browser) == [], "groups are folded"
        browser.run("document.getElementById('text').focus()")
        browser.type("workload-4321")
        assert shown(browser) == ["workload-4321"]
        assert browser.run("document.getElementById('shown').value") == "1 of 5,000 match"


class TestGroups:
    GROUPS = "[...document.querySelectorAll('tr.group button')].map((e) => e.textContent)"

    def test_are_rules_and_namespaces(self, browser: Chromium, small: Path) -> None:
        browser.open(small)
        assert browser.run(self.GROUPS) == [
            "denied · shared-request-above-one · notebooks (1)",
            "rewritten · inference (1)",
            "unchanged · training (1)",
        ]
        choose(browser, "group", "")
        assert browser.run(self.GROUPS) == []
        assert len(shown(browser)) == 3

    def test_fold_and_unfold(self, browser: Chromium, small: Path) -> None:
        browser.open(small)
        browser.run("document.querySelector('tr.group button').click()")
        assert shown(browser) == ["llm", "llama"]
        assert browser.run("document.activeElement.getAttribute('aria-expanded')") == "false", "and keeps the focus"
        browser.run("document.activeElement.click()")
        assert len(shown(browser)) == 3

    def test_keep_a_large_report_short(self, browser: Chromium, large: Path) -> None:
        browser.open(large)
        assert browser.run("document.documentElement.scrollHeight") < 8_000
        assert len(browser.run(self.GROUPS)) == 50
        browser.run("document.querySelector('tr.more button').click()")
        assert len(browser.run(self.GROUPS)) == 100

    def test_are_printed_on_the_page_of_their_heading(self, browser: Chromium, small: Path) -> None:
        browser.open(small, printed=True)
        for heading in ("h2", "tr.group"):
            broken = f"[...document.querySelectorAll('{heading}')].map((one) => getComputedStyle(one).breakAfter)"
            assert set(browser.run(broken)) == {"avoid"}

    def test_are_all_printed(self, browser: Chromium, large: Path) -> None:
        browser.open(large)
        browser.run("dispatchEvent(new Event('beforeprint'))")
        assert len(shown(browser)) == 5_000
        browser.run("dispatchEvent(new Event('afterprint'))")
        assert shown(browser) == []


class TestAddress:
    def test_holds_the_filters_and_brings_them_back(self, browser: Chromium, small: Path) -> None:
        browser.open(small)
        choose(browser, "outcome", "rewritten")
        address = browser.run("location.hash")
        assert address == "#outcome=rewritten"
        browser.run(f"location.hash = '#rule=shared-request-above-one'; {SETTLED}")
        assert shown(browser) == ["sweep"]
        browser.run(f"location.hash = '{address}'; {SETTLED}")
        assert shown(browser) == ["llm"]
        assert browser.run("document.getElementById('outcome').value") == "rewritten"

    def test_that_names_nothing_known_filters_nothing(self, browser: Chromium, small: Path) -> None:
        browser.open(small)
        browser.run(f"location.hash = '#outcome=nonsense'; {SETTLED}")
        assert len(shown(browser)) == 3


def test_the_download_is_the_report(browser: Chromium, small: Path) -> None:
    browser.open(small)
    browser.run(
        "URL.createObjectURL = (blob) => { window.saved = blob; return '#'; };"
        "window.clicked = new Promise((done) => {"
        " HTMLAnchorElement.prototype.click = function () { window.named = this.download; done(); }; });"
        "document.getElementById('download').click()"
    )
    data = json.loads(browser.run("window.clicked.then(() => window.saved.text())"))
    assert data["kind"] == "AuditReport"
    assert [line["name"] for line in data["objects"]] == ["llm", "sweep", "llama"]
    assert browser.run("window.named") == "gpuwarden-audit.json"


class TestSort:
    def order(self, browser: Chromium, key: str) -> str | None:
        value: str | None = browser.run(f"document.querySelector('th[data-key={key}]').getAttribute('aria-sort')")
        return value

    def test_by_a_click_goes_up_and_then_down(self, browser: Chromium, small: Path) -> None:
        browser.open(small)
        browser.run("document.querySelector('th[data-key=name] button').click()")
        assert shown(browser) == ["llama", "llm", "sweep"]
        assert self.order(browser, "name") == "ascending"
        browser.run("document.querySelector('th[data-key=name] button').click()")
        assert shown(browser) == ["sweep", "llm", "llama"]
        assert self.order(browser, "name") == "descending"
        browser.run("document.querySelector('th[data-key=policy] button').click()")
        assert shown(browser) == ["llama", "llm", "sweep"]
        assert (self.order(browser, "name"), self.order(browser, "policy")) == (None, "ascending")

    def test_of_pods_begins_with_the_most(self, browser: Chromium, small: Path) -> None:
        browser.open(small)
        browser.run("document.querySelector('th[data-key=pods] button').click()")
        assert shown(browser)[0] == "llm"
        assert self.order(browser, "pods") == "descending"

    def test_of_5_000_counts_numbers_as_numbers(self, browser: Chromium, large: Path) -> None:
        browser.open(large)
        browser.run("document.querySelector('th[data-key=name] button').click()")
        assert shown(browser) == [f"workload-{number}" for number in range(50)]
        browser.run("document.querySelector('tr.more button').click()")
        assert shown(browser) == [f"workload-{number}" for number in range(100)]

    def test_on_a_phone_is_a_choice(self, browser: Chromium, small: Path) -> None:
        browser.open(small, width=PHONE)
        assert browser.run("document.getElementById('sort').checkVisibility()")
        assert not browser.run("document.querySelector('#table thead').checkVisibility()")
        choose(browser, "sort", "name")
        assert shown(browser) == ["llama", "llm", "sweep"]

    def test_keeps_what_is_filtered(self, browser: Chromium, small: Path) -> None:
        browser.open(small)
        choose(browser, "outcome", "denied")
        browser.run("document.querySelector('th[data-key=name] button').click()")
        assert shown(browser) == ["sweep"]


class TestKeyboard:
    def test_reaches_everything_in_its_order_and_shows_where_it_is(self, browser: Chromium, small: Path) -> None:
        browser.open(small)
        places = browser.run(in_page.FOCUSABLE)
        reached = []
        for _ in places:
            browser.press("Tab", code=9)
            focused = browser.run(in_page.FOCUSED)
            assert focused["outline"] >= 2, focused
            reached.append(focused["place"])
        assert reached == places

    def test_begins_with_a_way_past_everything(self, browser: Chromium, small: Path) -> None:
        browser.open(small)
        browser.press("Tab", code=9)
        assert browser.run(in_page.FOCUSED)["label"] == "Skip to the workloads"
        assert browser.run("document.activeElement.getBoundingClientRect().left") >= 0
        browser.press("Enter", code=13, text="\r")
        assert browser.run("document.activeElement.id") == "workloads"

    def test_sorts(self, browser: Chromium, small: Path) -> None:
        browser.open(small)
        browser.run("document.querySelector('th[data-key=name] button').focus()")
        browser.press("Enter", code=13, text="\r")
        assert shown(browser) == ["llama", "llm", "sweep"]
        assert browser.run("document.activeElement.textContent") == "Workload", "and stays where it was"

    def test_opens_a_patch(self, browser: Chromium, small: Path) -> None:
        browser.open(small)
        browser.run("document.querySelector('#table summary').focus()")
        browser.press("Enter", code=13, text="\r")
        assert browser.run("document.querySelector('#table details').open")

    def test_enter_in_the_search_does_not_leave_the_page(self, browser: Chromium, small: Path) -> None:
        browser.open(small)
        browser.run("document.getElementById('text').focus()")
        browser.type("llm")
        browser.press("Enter", code=13, text="\r")
        assert shown(browser) == ["llm"]
        assert browser.requests() == [small.as_uri()]


class TestWithoutScript:
    def test_everything_can_be_read(self, browser: Chromium, small: Path) -> None:
        browser.open(small, height=4000, script=False)  # all of it, because rows far below the window have no innerText
        assert shown(browser) == ["sweep", "llm", "llama"]
        text = browser.run("document.body.innerText")
        for words in ("3 workloads request GPUs", "Workloads by form", "shared-request-above-one", "would become"):
            assert words in text, words

    def test_those_of_many_that_are_packed_are_counted(self, browser: Chromium, large: Path) -> None:
        browser.open(large, script=False)
        assert len(shown(browser)) == 200
        assert "4,800 more workloads are in this page in compressed form" in browser.run("document.body.innerText")

    def test_no_control_is_there_that_would_do_nothing(self, browser: Chromium, small: Path) -> None:
        browser.open(small, script=False)
        assert not browser.run("document.getElementById('controls').checkVisibility()")
        assert browser.run("document.querySelectorAll('#table thead button').length") == 0


def test_every_control_has_a_name_and_every_table_its_headings(browser: Chromium, small: Path) -> None:
    browser.open(small)
    unnamed = """
    [...document.querySelectorAll("input, select")].filter((e) => !e.labels.length).map((e) => e.id)
      .concat([...document.querySelectorAll("button, a")].filter((e) => !e.textContent.trim()).map((e) => e.outerHTML))
      .concat([...document.querySelectorAll("table")].filter((e) => !e.tHead).map((e) => e.className))
    """
    assert browser.run(unnamed) == []
    assert browser.run("document.documentElement.lang") == "en"
    assert browser.run("document.querySelectorAll('h1').length") == 1
    assert browser.run(
        "[...document.querySelectorAll('#table tbody tr[data-o]')].every((row) => row.cells.length === 6)"
    )


def test_the_browser_would_tell_of_a_request_and_of_an_error(browser: Chromium, tmp_path: Path) -> None:
    page = tmp_path / "talkative.html"
    page.write_text("<!DOCTYPE html><img src='missing.png'><script>nonsense()</script>", encoding="utf-8")
    browser.open(page)
    assert browser.requests() == [page.as_uri(), (tmp_path / "missing.png").as_uri()]
    assert any("nonsense" in complaint for complaint in browser.complaints())


def full_report(tmp_path: Path) -> Path:
    """A page with every part: a fleet with pods that wait, and changes."""
    earlier = read_earlier(reported([]).model_dump_json(by_alias=True).encode())
    page = tmp_path / "full.html"
    page.write_text(html(reported(three(), fleet=a_fleet(), earlier=earlier)), encoding="utf-8")
    return page


def test_no_region_is_named_twice(browser: Chromium, tmp_path: Path) -> None:
    browser.open(full_report(tmp_path))
    names = browser.run("""
    [...document.querySelectorAll("section, [role=region]")].map((e) =>
      e.getAttribute("aria-label") || document.getElementById(e.getAttribute("aria-labelledby")).textContent.trim())
    """)
    assert len(names) > 8
    assert len(set(names)) == len(names), "axe: landmark-unique"


def test_only_the_heat_map_scrolls_on_a_phone(browser: Chromium, tmp_path: Path) -> None:
    browser.open(full_report(tmp_path), width=PHONE)
    browser.run("for (const one of document.querySelectorAll('#fleet ~ details, #changes ~ details')) one.open = true")
    scrolling = browser.run("""
    [...document.querySelectorAll(".scroll")].filter((e) => e.scrollWidth > e.clientWidth + 1)
      .map((e) => e.getAttribute("aria-label"))
    """)
    assert set(scrolling) <= {"Heat map", "Forms"}
