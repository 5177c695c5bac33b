"""Names that objects can have, as Kubernetes checks them (apimachinery pkg/util/validation)."""

import re

SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
"""A DNS subdomain (RFC 1123) of any length."""

VALID_NAME = re.compile(rf"(?=.{{1,253}}\Z){SUBDOMAIN}")
"""What most objects can be called (IsDNS1123Subdomain)."""

VALID_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""What a namespace can be called (IsDNS1123Label)."""
