"""``clientAuth``: the Secret of the client authorities, mounted and named, and who may call by name."""

from pathlib import PurePosixPath

import pytest

from tests.deploy.chart import MODES, Chart, Json, RefusedError, Rendered, merged

AUTH: Json = {"clientAuth": {"caSecret": "our-clients", "allowedCNs": ["kube-apiserver", "front, proxy: #1"]}}


def options(rendered: Rendered) -> list[str]:
    return [word for word in rendered.arguments if word.startswith(("--client-ca-file", "--allowed-cn"))]


def test_by_default_nobody_is_asked_for_a_certificate(rendered: Rendered) -> None:
    assert options(rendered) == []
    assert "client-ca" not in {volume["name"] for volume in rendered.pod["volumes"]}


@pytest.mark.parametrize("mode", MODES)
def test_the_authorities_are_mounted_where_the_option_says_and_without_a_key(chart: Chart, mode: str) -> None:
    rendered = chart.render(merged(MODES[mode], AUTH))

    file, *names = options(rendered)
    assert names == ["--allowed-cn=kube-apiserver", "--allowed-cn=front, proxy: #1"]
    (volume,) = [volume for volume in rendered.pod["volumes"] if volume["name"] == "client-ca"]
    assert volume["secret"]["secretName"] == "our-clients"
    assert [item["key"] for item in volume["secret"]["items"]] == ["ca.crt"]
    (mount,) = [mount for mount in rendered.container["volumeMounts"] if mount["name"] == "client-ca"]
    path = PurePosixPath(file.partition("=")[2])
    assert (str(path.parent), path.name) == (mount["mountPath"], "ca.crt")
    assert "subPath" not in mount, "a file that is mounted so would never be updated"
    others = [other["mountPath"] for other in rendered.container["volumeMounts"] if other is not mount]
    assert mount["mountPath"] not in others


def test_without_names_any_certificate_will_do(chart: Chart) -> None:
    assert len(options(chart.render({"clientAuth": {"caSecret": "our-clients"}}))) == 1


def test_names_without_an_authority_are_refused(chart: Chart) -> None:
    with pytest.raises(RefusedError, match="caSecret"):
        chart.render({"clientAuth": {"allowedCNs": ["kube-apiserver"]}})
