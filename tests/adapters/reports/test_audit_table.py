"""The tables for people: what changes and why, then totals, all of it printable."""

import io
import re
from typing import Any

from rich.console import Console

from tests.adapters.reports.fleets import evaluated, labelled, many, reported, seen, three
from tests.builders import SHARED, a_pod, gpu
from webhook.adapters.manifests.items import ManifestProblem
from webhook.adapters.reports import audit_table
from webhook.adapters.reports.audit import AuditReport


def shown(report: AuditReport, *, everything: bool = False, width: int = 200) -> str:
    target = Console(file=io.StringIO(), width=width, highlight=False)
    audit_table.show(target, report, everything=everything)
    assert isinstance(target.file, io.StringIO)
    return target.file.getvalue()


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_what_changes_has_a_line_with_its_reason_and_its_pods() -> None:
    text = squeezed(shown(reported(three())))

    assert "Job sweep" in text
    assert "shared-request-above-one: container" in text
    assert 'container "vllm": nvidia.com/gpu: 1 would become nvidia.com/mig-1g.5gb: 1' in text
    assert "2 rewritten" in text
    assert "3 workloads request GPUs, with 2 pods: 1 denied, 1 rewritten, 1 unchanged, 0 exempt" in text


def test_workloads_that_only_reach_gpus_are_not_said_to_ask_for_them() -> None:
    pod = a_pod({"name": "agent", "securityContext": {"privileged": True}})
    made = evaluated([seen(pod, kind="DaemonSet", name="agent")], labelled(team_a="shared"))

    told = squeezed(shown(reported(made)))
    assert "1 workload requests GPUs, or reaches them otherwise, with 0 pods" in told
    assert "4 workloads request GPUs, or reach them otherwise" in squeezed(shown(reported([*made, *three()])))


def test_what_stays_has_a_line_only_when_asked_for() -> None:
    assert "Deployment llama" not in shown(reported(three()))
    assert "Deployment llama" in shown(reported(three()), everything=True)


def test_what_is_refused_comes_first() -> None:
    text = shown(reported(three()))
    assert text.index("Job sweep") < text.index("StatefulSet llm")


def test_totals_are_by_namespace_policy_form_and_rule() -> None:
    text = shown(reported(three()))
    for line in (
        r"notebooks +shared +0 +0 +1 *\n",
        r"mig-1g.5gb +0 +1 +0 *\n",
        r"plain +denied +denied +1 +0",
        r"shared-request-above-one +1",
    ):
        assert re.search(line, text), line


def test_one_is_one() -> None:
    text = shown(reported(evaluated([seen()], labelled(team_a="shared")), seen={"deployments": 1}))
    assert "1 workload requests GPUs, with 0 pods: 0 denied, 1 rewritten" in text
    assert "1 object checked" in text


def test_nothing_is_said_in_one_line() -> None:
    assert shown(reported([], seen={})).startswith("0 workloads request GPUs")


def test_a_fleet_is_cut_where_nobody_reads_on_and_says_how_much_more_there_is() -> None:
    text = shown(reported(many(3000, 100)))
    assert len(text.splitlines()) < 5_000
    assert re.search(
        r"and [0-9]+ more workloads; list all with -o csv, json or html, or select namespaces with -n", text
    )
    assert re.search(r"and 60 more; list all with -o csv, json or html", text)


def test_problems_and_notes_are_told() -> None:
    problems = [
        ManifestProblem(source="pods", line=None, message="GET /api/v1/pods: 403"),
        ManifestProblem(source="a.yaml", line=3, message="appears twice", fatal=False),
    ]
    text = shown(reported(three(), problems=problems, notes=["namespace x: a note"]))
    assert "pods: not read: GET /api/v1/pods: 403" in text
    assert "a.yaml:3: warning: appears twice" in text
    assert "namespace x: a note" in text
    assert "; 1 list not read; 9 objects checked" in text


def test_nothing_in_a_file_can_command_the_terminal() -> None:
    hostile = "\x1b]0;owned\x07\x9b31m"
    place: dict[str, Any] = {"namespace": hostile, "source": hostile, "line": 1}
    refused = seen(a_pod(gpu(2, name=hostile), gpu(1, SHARED, name="x")), name=hostile, **place)
    rewritten = seen(a_pod(gpu(1, name=hostile)), name=f"{hostile}2", **place)
    made = evaluated([refused, rewritten], {hostile: labelled(a="shared")["a"]})
    assert [row.verdict.outcome.value for row in made] == ["denied", "rewritten"]
    text = shown(reported(made, notes=[hostile]))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    assert "owned" in text


def test_markup_in_names_is_text() -> None:
    made = evaluated(
        [seen(a_pod(gpu(2, name="[red]x[/red]")), name="[link=http://x]y[/link]")], labelled(team_a="shared")
    )
    text = squeezed(shown(reported(made), width=400))
    assert "[red]x[/red]: nvidia.com/gpu: 2" in text
    assert "[link=http://x]y[/link]" in text


def test_a_table_of_totals_has_only_the_columns_that_count_something() -> None:
    heads = [line.split() for line in shown(reported(three())).splitlines() if "unchanged" in line.split()]
    assert ["namespace", "policy", "unchanged", "rewritten", "denied"] in heads
    exempt = evaluated([seen(namespace="kube-system")], labelled(kube_system="shared"))
    heads = [line.split() for line in shown(reported([*three(), *exempt])).splitlines() if "unchanged" in line.split()]
    assert ["namespace", "policy", "unchanged", "rewritten", "denied", "exempt"] in heads
