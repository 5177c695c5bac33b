"""The page as text: one file, everything in it, nothing from outside, and no text that is more than text."""

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from tests.adapters.reports.fleets import evaluated, labelled, many, owned, reported, seen, three
from tests.builders import SHARED, a_pod, gpu
from webhook.adapters.manifests.items import ManifestProblem
from webhook.adapters.reports import html as module
from webhook.adapters.reports.html import html
from webhook.engine.namespace_labels import NamespaceLabels

HOSTILE = "\"'><script>window.pwned=1</script><img src=x onerror=window.pwned=1></style></title>{{7*7}}</textarea>"
_EMPTY = {"meta", "link", "input", "rect"}


class Read(HTMLParser):
    """The tags and the text of a page; a tag that is not closed, or closed where it was not open, fails."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def count(self, tag: str) -> int:
        return sum(found == tag for found, _ in self.tags)

    def rows(self) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == "tr" and "data-o" in attributes]


def test_tells_everything_there_is_to_tell() -> None:
    read = Read(html(reported(three(), assumptions=["*=shared"], notes=["namespace x: a note"])))
    for words in (
        "3 workloads request GPUs",
        "https://10.0.0.1:6443",
        "2026-03-01 12:30 UTC",
        "*=shared",
        "namespace x: a note",
        "shared-request-above-one",
        'container "vllm": nvidia.com/gpu: 1 would become nvidia.com/mig-1g.5gb: 1',
        "9 pods were checked",
        "+               nvidia.com/mig-1g.5gb: 1",
        "plain → mig-1g.5gb: 1 workload rewritten",
        "2 GPUs → 2 MIG partitions",
        "2 GPUs → none",
    ):
        assert words in read.text, words
    assert len(read.rows()) == 3


def test_asks_for_no_other_file() -> None:
    for tag, attributes in Read(html(reported(many(50, 5)))).tags:
        for name, value in attributes.items():
            if name in {"src", "href", "action", "formaction", "data", "poster", "srcset", "ping", "background"}:
                assert value is not None
                assert value.startswith(("#", "data:,")), (tag, name, value)
            assert not name.startswith("on"), (tag, name)
    style = (module.html(reported([])).partition("<style>")[2]).partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_permits_itself_its_own_script_and_style_and_nothing_else() -> None:
    page = html(reported(three()))
    policy = next(
        attributes["content"]
        for tag, attributes in Read(page).tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        found = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert len(found) == 1, "the JSON of the report is data, not script"
        digest = base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "script-src 'unsafe-inline'" not in policy


def test_shows_hostile_text_as_text_wherever_it_stands() -> None:
    pod = a_pod(
        gpu(2, name=HOSTILE),
        gpu(1, SHARED, name="x"),
        nodeSelector={"cloud.google.com/gke-gpu-partition-size": HOSTILE},
    )
    objects = [
        seen(pod, name=HOSTILE, namespace=HOSTILE, source=HOSTILE, line=1),
        seen(a_pod(gpu(1, name=HOSTILE)), name=f"{HOSTILE}2", namespace="good"),
        seen(kind="Pod", name="p", namespace="good", owner=owned(HOSTILE, HOSTILE)),
    ]
    made = evaluated(objects, {HOSTILE: NamespaceLabels(HOSTILE), "good": NamespaceLabels("shared")})
    problem = ManifestProblem(source=HOSTILE, line=None, message=HOSTILE)
    plain = Read(html(reported(evaluated([seen()], labelled(team_a="shared")))))

    read = Read(
        html(
            reported(
                made, origin=HOSTILE, assumptions=[HOSTILE], notes=[HOSTILE], problems=[problem], seen={HOSTILE: 1}
            )
        )
    )

    assert read.count("img") == 0
    assert read.count("script") == plain.count("script") == 2
    assert read.count("style") == plain.count("style") == 1
    assert read.text.count("<script>window.pwned=1</script>") >= 10
    assert "{{7*7}}" in read.text, "not computed by the template engine either"


def test_shows_no_character_that_turns_the_reading_order() -> None:
    made = evaluated([seen(name="\u202egnp.exe", source="\x1b[2J\u2066", line=1)], labelled(team_a="shared"))
    page = html(reported(made))
    assert not re.search("[\x1b\u202e\u2066]", page)
    assert r"\u202egnp.exe" in page


def test_puts_what_matters_most_first() -> None:
    outcomes = [row["data-o"] for row in Read(html(reported(many(200, 20)))).rows()]
    assert outcomes == sorted(outcomes, key=str)
    assert set(outcomes) == {"0", "1", "3"}


def test_leaves_out_what_matters_least_where_a_browser_would_get_slow_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 10)
    read = Read(html(reported(many(200, 20))))
    assert len(read.rows()) == 10
    assert "190 more workloads are not on this page" in read.text
    assert "200 workloads request GPUs" in read.text


def test_of_no_workload_says_so() -> None:
    read = Read(html(reported([])))
    assert "No workload requests a GPU" in read.text
    assert read.count("table") == 0


def test_says_when_something_could_not_be_read_and_does_not_when_it_is_only_odd() -> None:
    fatal = ManifestProblem(source="pods", line=None, message="GET /api/v1/pods: 403")
    odd = ManifestProblem(source="a.yaml", line=1, message="appears twice", fatal=False)
    assert "Not everything could be read" in Read(html(reported([], problems=[odd, fatal]))).text
    assert "Not everything could be read" not in Read(html(reported([], problems=[odd]))).text


def test_shows_the_first_of_many_troubles_and_folds_the_others() -> None:
    read = Read(html(reported([], notes=[f"note {number}" for number in range(30)])))
    assert "and 25 more" in read.text
    assert "note 29" in read.text


def test_is_of_a_size_that_can_be_mailed() -> None:
    assert len(html(reported(many(5_000)))) < 1_000_000


def unpacked(page: str, name: str) -> str:
    found = re.search(f'id="{name}">([^<]*)</script>', page)
    assert found is not None
    return gzip.decompress(base64.b64decode(found[1])).decode()


def test_packs_the_rows_of_many_workloads_as_they_would_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    report = reported(evaluated([seen(name=HOSTILE), *(seen(name=f"w{number}") for number in range(5))], {}))
    plain = html(report)
    monkeypatch.setattr(module, "PLAIN_ROWS", 2)
    packed = html(report)
    assert len(Read(packed).rows()) == 2
    assert "4 more workloads are in this page in compressed form" in Read(packed).text
    rows = unpacked(packed, "packed")
    assert rows in plain
    assert len(Read(rows).rows()) == 4
    assert 'id="packed"' not in plain


def test_packs_the_whole_report_for_the_download() -> None:
    report = reported(three())
    assert json.loads(unpacked(html(report), "data")) == report.model_dump(mode="json", by_alias=True)
