"""The command line of each component: pure functions. Everything listens on 127.0.0.1 only."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Ports:
    """The loopback port of each listener."""

    etcd: int
    etcd_peer: int
    apiserver: int
    controller_manager: int
    scheduler: int


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one control plane, all below one directory."""

    directory: Path

    @property
    def ca(self) -> Path:
        """The certificate authority's certificate, of servers and clients alike."""
        return self.directory / "ca.crt"

    @property
    def serving_certificate(self) -> Path:
        """The serving certificate of the API server, the controller manager and the scheduler."""
        return self.directory / "serving.crt"

    @property
    def serving_key(self) -> Path:
        """The serving certificate's key."""
        return self.directory / "serving.key"

    @property
    def service_account_key(self) -> Path:
        """The key that signs service account tokens, and checks them."""
        return self.directory / "service-account.key"

    @property
    def audit_policy(self) -> Path:
        """What the API server records."""
        return self.directory / "audit-policy.json"

    @property
    def audit_log(self) -> Path:
        """The audit events, one JSON object a line."""
        return self.directory / "audit.log"

    @property
    def etcd_data(self) -> Path:
        """Where etcd keeps its data."""
        return self.directory / "etcd"

    def log(self, component: str) -> Path:
        """The output of a component."""
        return self.directory / f"{component}.log"

    def kubeconfig(self, user: str) -> Path:
        """The kubeconfig file of a user or component."""
        return self.directory / f"{user.replace(':', '-')}.kubeconfig"


def etcd(files: Files, ports: Ports) -> list[str]:
    """The flags of etcd 3.4 or later, alone and without TLS: it holds a test's data for minutes, on loopback."""
    client, peer = f"http://127.0.0.1:{ports.etcd}", f"http://127.0.0.1:{ports.etcd_peer}"
    return [
        "--name=default",
        f"--data-dir={files.etcd_data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--log-level=warn",
        "--logger=zap",
    ]


def apiserver(files: Files, ports: Ports) -> list[str]:
    """The flags of kube-apiserver: default admission plugins and the two webhook plugins, RBAC, audit log."""
    return [
        f"--etcd-servers=http://127.0.0.1:{ports.etcd}",
        "--bind-address=127.0.0.1",
        f"--secure-port={ports.apiserver}",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",  # the service `kubernetes` may not have a loopback endpoint
        f"--tls-cert-file={files.serving_certificate}",
        f"--tls-private-key-file={files.serving_key}",
        f"--client-ca-file={files.ca}",
        f"--service-account-key-file={files.service_account_key}",
        f"--service-account-signing-key-file={files.service_account_key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.0.0.0/16",
        "--authorization-mode=RBAC",
        "--enable-admission-plugins=MutatingAdmissionWebhook,ValidatingAdmissionWebhook",
        "--allow-privileged=true",
        "--runtime-config=resource.k8s.io/v1beta1=true,resource.k8s.io/v1beta2=true",  # so that claims come in every version
        f"--audit-policy-file={files.audit_policy}",
        f"--audit-log-path={files.audit_log}",
        "--audit-log-mode=blocking",  # an event is in the file before its answer is with the client
    ]


def controller_manager(files: Files, ports: Ports) -> list[str]:
    """The flags of kube-controller-manager: all its controllers, each as its own service account, as in a cluster."""
    return [
        *_component(files, ports.controller_manager),
        f"--kubeconfig={files.kubeconfig('system:kube-controller-manager')}",
        f"--root-ca-file={files.ca}",
        f"--service-account-private-key-file={files.service_account_key}",
        "--use-service-account-credentials=true",
        # Nothing beats for the nodes of the fleet: they stay as Ready as they were made.
        "--node-monitor-grace-period=24h",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    ]


def scheduler(files: Files, ports: Ports) -> list[str]:
    """The flags of kube-scheduler, with its default profile."""
    return [
        *_component(files, ports.scheduler),
        f"--kubeconfig={files.kubeconfig('system:kube-scheduler')}",
    ]


def _component(files: Files, port: int) -> list[str]:
    return [
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={files.serving_certificate}",
        f"--tls-private-key-file={files.serving_key}",
        "--leader-elect=false",
    ]
