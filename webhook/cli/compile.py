"""``gpuwarden compile``: the configuration as admission policies of the API server itself."""

import sys
from typing import Annotated, Any

import typer
import yaml

from webhook.application.in_tree import compiled
from webhook.cli.manifest_input import ConfigOption, load_configuration, usage_error
from webhook.cli.messages import say


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and repeats instead of referring."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base's signature
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def compile(  # noqa: A001 - the command's name
    config: ConfigOption = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VALUE",
            help="A built-in value that namespaces are labelled with, such as mig-1g.5gb; repeatable.",
        ),
    ] = None,
) -> None:
    """Print the policies as MutatingAdmissionPolicies and ValidatingAdmissionPolicies, for Kubernetes 1.36 or later.

    The API server then decides the common case by itself: plain requests, and requests in the form of the policy. The
    policies are those of the configuration, exclusive, shared, time-slicing, mps, none, any, defaults.enforce, and each
    --policy. Those that CEL can't state are named on standard error, with the reason; the webhooks decide their pods.

    Exit codes: 0 written; 2 wrong usage, or output that can't be written.
    """
    configuration = load_configuration(config)
    for value in policy or ():
        if configuration.policies.resolve(value) is None:
            raise usage_error(f"--policy: {configuration.policies.nearest(value)}")
    made = compiled(configuration, policy or ())
    for left in made.left:
        say(f'policy "{left.policy}": left to the webhooks; {left.why}')
    yaml.dump_all(
        made.objects, sys.stdout, _Dumper, sort_keys=False, width=1000, explicit_start=True, allow_unicode=True
    )
