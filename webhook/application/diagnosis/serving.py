"""Checks of the connection from the API server to gpuwarden: Service, endpoints, trust and expiry."""

from collections.abc import Iterator

from cryptography import x509

from ...engine.text import plural
from ..certificates.pem import describe, read_bundle, show
from ..certificates.trust import covers, why_invalid, why_untrusted
from .facts import Contact, Facts, known
from .our_webhooks import OurWebhook, our_webhooks, readable_webhooks, ready_endpoints, services
from .results import CheckOutcome, Findings, fail, listed, ok, unknown, warn

# Certificates are renewed at two thirds of their lifetime, whoever issues them. With less than this part left, that failed.
_FORGOTTEN = 0.25


def service(facts: Facts) -> Findings:
    """The Services that the webhooks name exist, with the port, and have ready endpoints."""
    webhooks = our_webhooks(facts)
    for reference in services(webhooks):
        where = f"Service {reference.namespace}/{reference.name}"
        there = known(facts.services[reference.namespace, reference.name])
        ports = {port.port for port in there.spec.ports or ()} if there else set()
        impact = "no replica is reachable: GPU pods are denied, or admitted unchecked if the failurePolicy is Ignore"
        if there is None:
            fix = "reinstall into the namespace that the webhook configurations name (helm upgrade, or kubectl apply)"
            yield fail(f"there is no {where}, which the webhooks name", impact, fix)
        elif reference.port not in ports:
            fix = f"add port {reference.port} to the Service, as in the chart, or reinstall"
            yield fail(f"{where} has no port {reference.port}, which the webhooks name", impact, fix)
        elif not (ready := ready_endpoints(facts, reference)):
            fix = f"see check replicas, and kubectl -n {reference.namespace} get pods,endpointslices"
            yield fail(f"{where} has no ready endpoint", impact, fix)
        else:
            yield ok(f"{where}: {plural(len(ready), 'ready endpoint')}")
    urls = {one.webhook.client_config.url or "" for one in webhooks}
    return (
        f"the webhooks are called by URL: {listed(urls)}"
        if urls
        else "there are no webhooks to call (see check webhooks)"
    )


def bundles(facts: Facts) -> Findings:
    """Each of gpuwarden's webhooks carries a CA that is valid now."""
    webhooks = our_webhooks(facts)
    yield from _empty_bundles(facts)
    for one in webhooks:
        yield from _bundle(facts, one)
    return f"every caBundle holds a valid CA ({len(webhooks)} webhooks)"


def _bundle(facts: Facts, one: OurWebhook) -> Iterator[CheckOutcome]:
    pem = one.webhook.client_config.ca_bundle or b""
    bundle = read_bundle(pem)
    impact = f"the API server does not trust {one}: its calls fail with x509 errors"
    if not pem.strip():
        if one.webhook.client_config.url:
            yield unknown(
                f"{one} has no caBundle",
                "the API server verifies it with its host's CAs, which doctor can't see",
                "check them there, or set a caBundle",
            )
    elif not bundle.certificates:
        fix = f"clear it, and gpuwarden writes it again; if it does not, see {_logs(facts)}"
        yield fail(f"the caBundle of {one} can't be read: {bundle.damage}", impact, fix)
    elif all(why_invalid(certificate, facts.now) for certificate in bundle.certificates):
        reasons = "; ".join(why_invalid(certificate, facts.now) or "" for certificate in bundle.certificates)
        yield fail(f"no CA in the caBundle of {one} is valid: {reasons}", impact, f"see {_logs(facts)}")
    elif bundle.damage:
        impact = "the API server ignores what it can't read; something other than gpuwarden has written it"
        yield warn(
            f"the caBundle of {one}: {bundle.damage}",
            impact,
            f"find the writer: kubectl get {one.kind.lower()} -o yaml --show-managed-fields",
        )


def _empty_bundles(facts: Facts) -> Iterator[CheckOutcome]:
    """Report empty bundles as one problem, because before the first replica is ready all are empty."""
    configs = {str(one): one.webhook.client_config for one in our_webhooks(facts)}
    empty = [name for name, config in configs.items() if not config.url and not (config.ca_bundle or b"").strip()]
    if empty:
        yield fail(
            f"the caBundle is empty: {listed(empty)}",
            "the API server does not trust gpuwarden: its calls fail with x509 errors",
            f"a replica writes it within seconds of its start; if it does not, see {_logs(facts)}",
        )


def trust(facts: Facts) -> Findings:
    """Every endpoint presents a certificate that the live caBundle trusts for the name that the API server expects."""
    our_webhooks(facts)  # an endpoint that could not be read was not dialled either
    spoke = [contact for contact in facts.contacts if contact.connected]
    if not spoke:
        yield _out_of_reach(facts)
        return ""
    for contact in facts.contacts:
        target = contact.target
        observed = f"{target.where}, for {target.webhook}"
        if not contact.connected:
            yield fail(
                f"{observed}: no connection ({contact.silence})",
                "the API server's calls to this endpoint may fail; other endpoints of gpuwarden could be reached from here",
                "check that this replica runs and which NetworkPolicies apply: "
                f"kubectl -n {facts.namespace} get pods -o wide",
            )
        elif contact.leaf is None or contact.silence:
            impact = "the API server's calls to this endpoint fail"
            yield fail(f"{observed}: no TLS ({contact.silence})", impact, f"see {_logs(facts)}")
        elif contact.refusal:
            yield _distrusted(facts, contact, contact.leaf)
    wheres = {contact.target.where for contact in spoke}
    return f"{listed(wheres)}: trusted under {listed({contact.target.name for contact in spoke})}"


def _distrusted(facts: Facts, contact: Contact, leaf: x509.Certificate) -> CheckOutcome:
    target = contact.target
    trusted = read_bundle(target.bundle).certificates
    # Ours names the certificates. It finds no reason if intermediate certificates are missing; then the client's reason is used.
    reason = why_untrusted(leaf, trusted, facts.now) or contact.refusal
    if not covers(leaf, target.name):
        reason = f"{describe(leaf)} is not for {target.name}"
    impact = (
        "the API server's calls fail (x509): GPU pods are denied, or admitted unchecked if the failurePolicy is Ignore"
    )
    fix = (
        f"self-managed certificates recover within 30 s; if not, see {_logs(facts)}; otherwise issue the certificate for "
        f"{target.name} and put its CA into the caBundle (docs/how-to/certificates.md)"
    )
    return fail(f"{target.where}, for {target.webhook}: not trusted: {reason}", impact, fix)


def _out_of_reach(facts: Facts) -> CheckOutcome:
    tried = {f"{contact.target.where} ({contact.silence})" for contact in facts.contacts}
    return unknown(
        f"not reachable from here: {listed(tried, 4)}" if tried else "there is no endpoint to connect to",
        "doctor can't tell whether the caBundle trusts the serving certificate; a replica is Ready only if it does",
        f"run doctor in the cluster: kubectl -n {facts.namespace} exec deploy/{facts.name} -- gpuwarden doctor; or test through "
        "the API server: --probe-namespace NAMESPACE",
    )


def expiry(facts: Facts) -> Findings:
    """No certificate ends soon: neither the last CA of a bundle nor any serving certificate."""
    leaves = {
        contact.leaf: f"the certificate served at {contact.target.where}" for contact in facts.contacts if contact.leaf
    }
    ends = {
        max(certificates, key=lambda c: c.not_valid_after_utc): f"the last CA of {one}"
        for one in readable_webhooks(facts)
        if (certificates := read_bundle(one.webhook.client_config.ca_bundle or b"").certificates)
    } | leaves
    if not ends:
        impact = "doctor can't tell when they expire"
        yield unknown("no certificate could be read", impact, "see checks ca-bundles and trust")
        return ""
    for certificate, what in ends.items():
        yield from _ends(facts, certificate, what)
    first = min(ends, key=lambda certificate: certificate.not_valid_after_utc)
    more = "" if leaves else "; the serving certificate could not be read"
    return f"{ends[first]} expires first, at {show(first.not_valid_after_utc)}{more}"


def _ends(facts: Facts, certificate: x509.Certificate, what: str) -> Iterator[CheckOutcome]:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    fix = f"see {_logs(facts)}, and gpuwarden's or cert-manager's metrics; renew a Secret that you provide yourself"
    if reason := why_invalid(certificate, facts.now):
        yield fail(f"{what}: {reason}", "the API server's calls fail with x509 errors", fix)
    elif (end - facts.now) / (end - start) < _FORGOTTEN:
        impact = (
            "it should have been renewed after two thirds of its lifetime; when it expires, the API server's calls fail"
        )
        yield warn(f"{what} expires at {show(end)}, with less than a quarter of its lifetime left", impact, fix)


def _logs(facts: Facts) -> str:
    return f"kubectl -n {facts.namespace} logs deploy/{facts.name}"
