"""--kubeconfig, --context and $KUBECONFIG mean what they mean to kubectl, and what is wrong is said by name."""

import base64
import errno
import json
import os
import stat
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import trustme

from testing.stand_in.apiserver import StandIn
from testing.stand_in.kubeconfig import write_kubeconfig
from webhook.adapters.kubernetes.api_request import ApiRequest
from webhook.adapters.kubernetes.connect import connect
from webhook.adapters.kubernetes.errors import ApiError, Fault, KubeconfigError

Write = Callable[..., Path]

NO_KUBECONFIG = "is not a kubeconfig; write one as kubectl config view prints it"
NO_URL = "is not a URL of http or https; write one such as"
NO_PEM = "is not a PEM file in base64; write the output of base64 -w0 FILE, or name the file in"
BROKEN = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n").decode()
ASK = ApiRequest("GET", "/api/v1/namespaces/a")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a kubeconfig whose contexts are named after their clusters, which are named after their servers."""

    def write(name: str, *servers: str, current: str | None = None, **parts: object) -> Path:
        content = {
            "clusters": [{"name": server, "cluster": {"server": f"https://{server}"}} for server in servers],
            "contexts": [{"name": server, "context": {"cluster": server, "user": server}} for server in servers],
            "users": [{"name": server, "user": {"token": f"token-of-{server}"}} for server in servers],
            **({"current-context": current} if current is not None else {}),
            **parts,
        }
        path = tmp_path / name
        path.write_text(json.dumps(content))  # JSON is YAML
        return path

    return write


def host(kubeconfig: Path | None, context: str | None = None, environ: Mapping[str, str] | None = None) -> str:
    return connect(kubeconfig, context, environ or {}).host


def problem(kubeconfig: Path | None, context: str | None = None, environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(KubeconfigError) as caught:
        connect(kubeconfig, context, environ or {})
    return str(caught.value)


class TestChoice:
    def test_the_current_context_is_used_unless_another_is_asked_for(self, write: Write) -> None:
        file = write("config", "dev", "prod", current="prod")
        assert host(file) == "https://prod"
        assert host(file, "dev") == "https://dev"

    def test_without_a_file_asked_for_the_variable_counts_and_then_the_home(self, write: Write, tmp_path: Path) -> None:
        home = tmp_path / "home"
        (home / ".kube").mkdir(parents=True)
        write("home/.kube/config", "at-home", current="at-home")
        named = write("named", "named", current="named")
        asked = write("asked", "asked", current="asked")
        environ = {"HOME": str(home), "KUBECONFIG": str(named)}
        assert host(asked, environ=environ) == "https://asked"
        assert host(None, environ=environ) == "https://named"
        assert host(None, environ={"HOME": str(home)}) == "https://at-home"
        assert host(None, environ={"HOME": str(home), "KUBECONFIG": ""}) == "https://at-home"

    def test_of_several_files_the_first_to_name_a_current_context_decides_as_with_kubectl(self, write: Write) -> None:
        files = [write("a", "dev"), write("b", "prod", current="prod"), write("c", "test", current="test")]
        environ = {"KUBECONFIG": ":".join(map(str, [*files[:1], "/does/not/exist", "", *files[1:]]))}
        assert host(None, environ=environ) == "https://prod"
        assert host(None, "dev", environ) == "https://dev"
        assert host(None, "test", environ) == "https://test"

    def test_of_several_files_an_empty_one_counts_for_nothing_as_with_kubectl(
        self, write: Write, tmp_path: Path
    ) -> None:
        (tmp_path / "empty").touch()
        environ = {"KUBECONFIG": f"{tmp_path}/empty:{write('b', 'prod', current='prod')}:{tmp_path}/empty"}
        assert host(None, environ=environ) == "https://prod"
        environ = {"KUBECONFIG": f"{tmp_path}/empty:{tmp_path}/empty"}
        assert problem(None, environ=environ).startswith(f"{tmp_path}/empty: is empty, and is not a kubeconfig; write")

    def test_of_two_entries_with_one_name_the_first_counts(self, write: Write) -> None:
        one = write("a", "here", current="here")
        other = write("b", clusters=[{"name": "here", "cluster": {"server": "https://elsewhere"}}])
        assert host(None, environ={"KUBECONFIG": f"{one}:{other}"}) == "https://here"
        assert host(None, "here", environ={"KUBECONFIG": f"{other}:{one}"}) == "https://elsewhere"

    def test_what_a_later_file_says_of_the_same_name_is_not_held_against_it(self, write: Write) -> None:
        one = write("a", "here", current="here")
        other = write(
            "b",
            clusters=[{"name": "here", "cluster": {}}],
            contexts=[{"name": "here", "context": {"cluster": "gone", "user": "gone"}}],
            users=[{"name": "here", "user": {"exec": {"command": "/no/such/program"}}}],
        )
        assert host(None, environ={"KUBECONFIG": f"{one}:{other}"}) == "https://here"

    def test_a_file_may_begin_with_what_another_completes(self, write: Write) -> None:
        contexts = write("a", current="x", contexts=[{"name": "x", "context": {"cluster": "dev", "user": "dev"}}])
        rest = write("b", "dev")
        assert host(None, environ={"KUBECONFIG": f"{contexts}:{rest}"}) == "https://dev"


class TestProblems:
    def test_a_file_that_is_asked_for_and_not_there(self, tmp_path: Path) -> None:
        assert (
            problem(tmp_path / "none")
            == f"--kubeconfig {tmp_path}/none: there is no such file or folder; name one that exists"
        )
        assert problem(tmp_path) == f"--kubeconfig {tmp_path}: it is a folder; name a file"
        (tmp_path / "link").symlink_to("gone")
        assert (
            problem(tmp_path / "link")
            == f"--kubeconfig {tmp_path}/link: it is a link to gone, which does not exist; correct the link"
        )
        os.mkfifo(tmp_path / "pipe")
        assert problem(tmp_path / "pipe") == f"--kubeconfig {tmp_path}/pipe: it is not a regular file; name one"

    def test_a_user_of_null(self, write: Write) -> None:
        file = write("config", "prod", current="prod", users=[{"name": "prod", "user": None}])
        assert (
            problem(file) == f'{file}: user "prod" has no credentials (user: null); write user: {{}} if it needs none'
        )
        file = write("config", "prod", current="prod", users=[{"name": "prod", "user": {}}])
        assert host(file) == "https://prod"

    def test_a_context_that_is_not_there(self, write: Write) -> None:
        file = write("config", "prod", "dev", current="prod")
        assert (
            problem(file, "staging")
            == f'{file}: context "staging" is not defined; name another with --context (contexts: "dev", "prod")'
        )

    def test_a_context_that_is_in_none_of_several_files(self, write: Write) -> None:
        one, other = write("a", "prod"), write("b", "dev")
        expected = (
            f'{one}, {other}: context "staging" is not defined; name another with --context (contexts: "dev", "prod")'
        )
        assert problem(None, "staging", {"KUBECONFIG": f"{one}:{other}"}) == expected

    def test_a_current_context_that_is_not_there(self, write: Write) -> None:
        file = write("config", "dev", current="gone")
        assert (
            problem(file)
            == f'{file}: current-context "gone" is not defined; name another with --context (contexts: "dev")'
        )

    def test_no_current_context(self, write: Write) -> None:
        expected = 'current-context is not set; name a context with --context (contexts: "dev")'
        for current in (None, ""):
            file = write("config", "dev", current=current)
            assert problem(file) == f"{file}: {expected}"

    def test_no_contexts_at_all(self, write: Write) -> None:
        file = write("config", contexts=None, users=None, clusters=None)
        assert problem(file).endswith("(contexts: none)")

    def test_a_context_that_leads_nowhere(self, write: Write) -> None:
        file = write("config", "dev", current="dev", clusters=[])
        assert (
            problem(file)
            == f'{file}: context "dev" names cluster "dev", which is not defined; define it, or name another (clusters: none)'
        )
        file = write("config", "dev", current="dev", users=[])
        assert (
            problem(file)
            == f'{file}: context "dev" names user "dev", which is not defined; define it, or name another (users: none)'
        )
        file = write("config", "dev", current="dev", clusters=[{"name": "dev", "cluster": {}}])
        assert problem(file) == f'{file}: cluster "dev" of context "dev" has no server; set clusters[].cluster.server'

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            pytest.param(b"", f"is empty, and {NO_KUBECONFIG}", id="empty"),
            pytest.param(b"- a\n- list\n", f"holds a list, and {NO_KUBECONFIG}", id="a list"),
            pytest.param(
                b"contexts: dev", 'contexts: "dev" is not a list; write its items with - before each', id="no list"
            ),
            pytest.param(
                b"contexts: [{context: {}}]",
                "contexts[0].name is missing; name the entry",
                id="a context without a name",
            ),
            pytest.param(
                b"clusters: [{name: a, cluster: {server: 5}}]",
                'clusters[0].cluster.server: 5 is not text; put it in quotes: "5"',
                id="a number",
            ),
            pytest.param(b"clusters: [x]", 'clusters[0]: "x" is not a mapping; write name and cluster', id="no entry"),
            pytest.param(
                b"users: [{name: a, user: {token: 12345}}]",
                "users[0].user.token: its value is not text; put it in quotes",
                id="a token is not shown",
            ),
            pytest.param(
                b"clusters: [{name: a, cluster: {insecure-skip-tls-verify: 'yes'}}]",
                'clusters[0].cluster.insecure-skip-tls-verify: "yes" is not true or false; write true or false, without quotes',
                id="no flag",
            ),
            pytest.param(
                b"users: [{name: a, user: {exec: {args: 5}}}]",
                "users[0].user.exec.args: 5 is not a list; write its items with - before each",
                id="arguments",
            ),
            pytest.param(
                b"a: [",
                "line 1: expected a value, found the end of the document; write one, or quote the text",
                id="no YAML",
            ),
            pytest.param(
                b"\xff\xfe\x00",
                "can't be read: it is not UTF-8 text (byte 0xff at offset 0); save it as UTF-8",
                id="no text",
            ),
        ],
    )
    def test_a_file_that_is_no_kubeconfig(self, tmp_path: Path, content: bytes, reason: str) -> None:
        file = tmp_path / "config"
        file.write_bytes(content)
        assert problem(file) == f"{file}: {reason}"

    @pytest.mark.parametrize(
        ("cluster", "user", "reason"),
        [
            ({"server": "127.0.0.1:1"}, {}, f'cluster "dev": server "127.0.0.1:1" {NO_URL} https://127.0.0.1:6443'),
            (
                {"server": "https://a:99999"},
                {},
                f'cluster "dev": server "https://a:99999" {NO_URL} https://127.0.0.1:6443',
            ),
            ({"proxy-url": "proxy"}, {}, f'cluster "dev": proxy-url "proxy" {NO_URL} http://127.0.0.1:3128'),
            (
                {"certificate-authority-data": "abc"},
                {},
                f'cluster "dev": certificate-authority-data {NO_PEM} certificate-authority',
            ),
            (
                {"certificate-authority-data": "aGVsbG8="},
                {},
                f'cluster "dev": certificate-authority-data {NO_PEM} certificate-authority',
            ),
            ({}, {"client-certificate-data": "!"}, f'user "dev": client-certificate-data {NO_PEM} client-certificate'),
            (
                {},
                {"client-certificate": "a.crt"},
                'user "dev": client-certificate is set without client-key; set client-key or client-key-data',
            ),
            (
                {},
                {"client-key": "a.key"},
                'user "dev": client-key is set without client-certificate; set client-certificate or client-certificate-data',
            ),
            ({}, {"exec": {"args": []}}, 'user "dev": exec.command is missing; name the program that logs in'),
            (
                {},
                {"auth-provider": {"name": "gcp"}},
                (
                    'user "dev": auth-provider "gcp" was removed from Kubernetes 1.26; get a kubeconfig with exec from your '
                    "cloud's command line"
                ),
            ),
            (
                {"certificate-authority-data": BROKEN},
                {},
                (
                    'context "dev": certificate-authority cannot be used (not PEM); set PEM files that belong together, '
                    "or their -data"
                ),
            ),
        ],
    )
    def test_a_value_that_can_not_be_used(
        self, write: Write, cluster: dict[str, object], user: dict[str, object], reason: str
    ) -> None:
        file = write(
            "config",
            current="dev",
            clusters=[{"name": "dev", "cluster": {"server": "https://dev", **cluster}}],
            contexts=[{"name": "dev", "context": {"cluster": "dev", "user": "dev"}}],
            users=[{"name": "dev", "user": user}],
        )
        assert problem(file) == f"{file}: {reason}"

    def test_a_certificate_that_is_not_there(self, write: Write) -> None:
        file = write(
            "config",
            "dev",
            current="dev",
            clusters=[{"name": "dev", "cluster": {"server": "https://dev", "certificate-authority": "gone.crt"}}],
        )
        text = problem(file)
        assert text.startswith(f'{file}: context "dev": ')
        assert "gone.crt" in text

    def test_nothing_at_all(self, tmp_path: Path, write: Write) -> None:
        assert problem(None) == (
            "no cluster: no KUBECONFIG and no HOME, and this is not a pod (KUBERNETES_SERVICE_HOST is not set); "
            "name a kubeconfig with --kubeconfig"
        )
        assert f"{tmp_path}/.kube/config does not exist" in problem(None, environ={"HOME": str(tmp_path)})
        assert "none of the files of KUBECONFIG exists (/gone)" in problem(None, environ={"KUBECONFIG": "/gone"})

    def test_a_context_is_not_looked_for_in_a_pod(self) -> None:
        text = problem(None, "dev", {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"})
        assert text.startswith('--context "dev": there is no kubeconfig')


class TestLoggingIn:
    @pytest.fixture(autouse=True)
    def _namespace(self, apiserver: StandIn) -> None:
        apiserver.set_namespace("a")

    def sent(self, apiserver: StandIn, tmp_path: Path, **user: object) -> str | None:
        """Log in as this user and give the Authorization header that arrives."""
        connect(write_kubeconfig(tmp_path / "config", apiserver.url, **user), None, {}).call(ASK, timeout=5)
        return apiserver.requests[-1].headers.get("Authorization")

    def plugin(self, tmp_path: Path, script: str) -> dict[str, object]:
        program = tmp_path / "login"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(program),
            "interactiveMode": "Never",
        }

    def test_by_a_token(self, apiserver: StandIn, tmp_path: Path) -> None:
        assert self.sent(apiserver, tmp_path, token="abc") == "Bearer abc"  # noqa: S106 - a test's own

    def test_by_nothing(self, apiserver: StandIn, tmp_path: Path) -> None:
        assert self.sent(apiserver, tmp_path) is None

    def test_by_a_name_and_a_password(self, apiserver: StandIn, tmp_path: Path) -> None:
        assert self.sent(apiserver, tmp_path, username="me", password="x") == "Basic bWU6eA=="  # noqa: S106 - a test's own

    def test_by_a_token_in_a_file_which_is_read_anew_when_it_is_refused(
        self, apiserver: StandIn, tmp_path: Path
    ) -> None:
        token = tmp_path / "token"
        token.write_text("one\n")
        api = connect(write_kubeconfig(tmp_path / "config", apiserver.url, tokenFile=str(token)), None, {})
        api.call(ASK, timeout=5)
        token.write_text("two\n")
        apiserver.authorize = lambda header: header == "Bearer two"
        api.call(ASK, timeout=5)
        assert [seen.headers["Authorization"] for seen in apiserver.requests] == [
            "Bearer one",
            "Bearer one",
            "Bearer two",
        ]

    def test_by_a_program(self, apiserver: StandIn, tmp_path: Path) -> None:
        credential = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "status": {"token": "t"},
        }
        plugin = self.plugin(tmp_path, f"echo '{json.dumps(credential)}'")
        assert self.sent(apiserver, tmp_path, exec=plugin) == "Bearer t"

    def test_by_a_program_whose_token_is_refused_is_to_run_it_again(self, apiserver: StandIn, tmp_path: Path) -> None:
        begin, end = (
            '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"',
            '"}}',
        )
        runs = tmp_path / "runs"
        plugin = self.plugin(tmp_path, f"echo run >> {runs}; echo '{begin}'$(wc -l < {runs})'{end}'")
        api = connect(write_kubeconfig(tmp_path / "config", apiserver.url, exec=plugin), None, {})
        apiserver.authorize = lambda header: header == "Bearer 2"
        api.call(ASK, timeout=5)
        assert runs.read_text() == "run\n" * 2

    @pytest.mark.parametrize(
        ("script", "reason"),
        [
            ("echo you must log in first >&2; exit 7", "exec: process returned 7. you must log in first"),
            ("echo not json", "exec: failed to decode process output"),
            ("echo '{}'", "missing key 'apiVersion'"),
        ],
    )
    def test_a_program_that_fails_is_told_with_its_own_words(
        self, apiserver: StandIn, tmp_path: Path, script: str, reason: str
    ) -> None:
        plugin = self.plugin(tmp_path, script)
        text = problem(write_kubeconfig(tmp_path / "config", apiserver.url, exec=plugin))
        assert text.startswith(f'{tmp_path}/config: context "here": the login program "{tmp_path}/login" failed: ')
        assert reason in text

    def test_a_program_that_is_not_there(self, apiserver: StandIn, tmp_path: Path) -> None:
        plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "/no/such/program"}
        text = problem(write_kubeconfig(tmp_path / "config", apiserver.url, exec=plugin))
        assert text.endswith(
            'the login program "/no/such/program" is not installed, or not on PATH; '
            "install it, or correct exec.command of the user"
        )

    def test_a_program_that_is_not_there_comes_with_the_kubeconfig_s_own_advice(
        self, apiserver: StandIn, tmp_path: Path
    ) -> None:
        plugin = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "no-such-program",
            "installHint": "Get it with:\n\n  cloud components install login\n",
        }
        text = problem(write_kubeconfig(tmp_path / "config", apiserver.url, exec=plugin))
        assert text.endswith("is not installed, or not on PATH; Get it with: cloud components install login")

    def test_the_wrong_token_is_refused(self, apiserver: StandIn, tmp_path: Path) -> None:
        apiserver.authorize = lambda header: header == "Bearer right"
        with pytest.raises(ApiError) as caught:
            self.sent(apiserver, tmp_path, token="wrong")  # noqa: S106 - a test's own
        assert caught.value.fault is Fault.UNAUTHORIZED


def test_a_root_without_any_writable_folder_is_reported(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client writes certificates that are inside a kubeconfig to temporary files."""
    pem = trustme.CA().cert_pem.bytes()
    authority = {"server": "https://a", "certificate-authority-data": base64.b64encode(pem).decode()}
    file = write("config", "a", current="a", clusters=[{"name": "a", "cluster": authority}])
    monkeypatch.setattr(tempfile, "mkstemp", no_folder)
    assert problem(file) == (
        f"{file}: context \"a\": No usable temporary directory found in ['/tmp']; certificates and keys inside a kubeconfig "
        "need a temporary file; make /tmp writable, or name files instead of …-data"
    )


def no_folder(*_: object, **__: object) -> tuple[int, str]:
    raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")
