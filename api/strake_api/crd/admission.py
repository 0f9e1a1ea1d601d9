"""The ValidatingAdmissionPolicy that has `kubectl apply` say what a BuildPolicy forbids.

The operator checks every run in any case, and also what was applied before a policy. This one is for people:
the same sentence, sooner. It is one object for all BuildPolicies, which are its parameters
(https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/), so nobody has to write
one for each. The fields that name Secrets are taken from the schema, as the operator takes them from the
document: new ones count by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from strake_api.crd.definition import image_build_definition
from strake_api.crd.expressions import bucket_refusals, fits, listed, none_of, text
from strake_api.models.document import GROUP, VERSION

NAME: Final = "strake-buildpolicies"
_SPEC: Final = "object.spec"
_MEASURED: Final = (("cpu", "cpu"), ("memory", "memory"), ("ephemeral-storage", "ephemeralStorage"))


class NestedListError(Exception):
    """The schema names Secrets in a way that the expressions here cannot follow."""


def build_policy_admission() -> list[dict[str, Any]]:
    """Return the policy and its binding."""
    named = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": NAME}}
    message = '"BuildPolicy " + params.metadata.name + " forbids " + variables.found[0]'
    policy = {
        # The operator enforces the same. An API server that was just started does not know the kind of the
        # parameters for up to 30 seconds, in which it would refuse every ImageBuild.
        "failurePolicy": "Ignore",
        "paramKind": {"apiVersion": f"{GROUP}/{VERSION}", "kind": "BuildPolicy"},
        "matchConstraints": {
            "resourceRules": [
                {
                    "apiGroups": [GROUP],
                    "apiVersions": [VERSION],
                    "operations": ["CREATE", "UPDATE"],
                    "resources": ["imagebuilds"],
                }
            ]
        },
        # Annotations and finalizers of a build that a later policy forbids can still change.
        "matchConditions": [
            {"name": "spec-changed", "expression": "oldObject == null || object.spec != oldObject.spec"}
        ],
        "variables": [{"name": name, "expression": expression} for name, expression in _variables()],
        "validations": [
            {
                "expression": "!variables.selected || size(variables.found) == 0",
                "messageExpression": message,
                "reason": "Forbidden",
            }
        ],
    }
    binding = {
        "policyName": NAME,
        "paramRef": {"selector": {}, "parameterNotFoundAction": "Allow"},
        "validationActions": ["Deny"],
    }
    return [
        {**named, "kind": "ValidatingAdmissionPolicy", "spec": policy},
        {**named, "kind": "ValidatingAdmissionPolicyBinding", "spec": binding},
    ]


def _variables() -> Iterator[tuple[str, str]]:
    yield "policy", "params.spec"
    yield "labels", "has(namespaceObject.metadata.labels) ? namespaceObject.metadata.labels : {}"
    yield "selected", _selected("variables.policy.namespaceSelector")
    yield from _destinations()
    yield "sources", _sources()
    yield "secrets", _secrets()
    yield "limits", _limits()
    yield "placement", _placement()
    yield (
        "found",
        " + ".join(
            f"variables.{each}" for each in ("destinations", "sources", "secrets", "limits", "placement")
        ),
    )


def _selected(selector: str) -> str:
    labels = f"(has({selector}.matchLabels) ? {selector}.matchLabels : {{}})"
    by_label = f"{labels}.all(k, k in variables.labels && variables.labels[k] == {labels}[k])"
    requirements = f"(has({selector}.matchExpressions) ? {selector}.matchExpressions : [])"
    has_value = "(has(e.values) && variables.labels[e.key] in e.values)"
    holds = (
        f"e.operator == 'In' ? (e.key in variables.labels && {has_value})"
        f" : e.operator == 'NotIn' ? (!(e.key in variables.labels) || !{has_value})"
        " : e.operator == 'Exists' ? e.key in variables.labels"
        " : !(e.key in variables.labels)"
    )
    return f"!has({selector}) || ({by_label} && {requirements}.all(e, {holds}))"


def _destinations() -> Iterator[tuple[str, str]]:
    """Yield what is refused of destinations, in steps: with path, in parts, with registry, with full name."""
    output, cache = f"{_SPEC}.output.destinations", f"{_SPEC}.cache.repository"
    path = f"'output.destinations[' + string({output}.indexOf(d)) + ']'"
    of_cache = f"[{{'path': 'cache.repository', 'name': string({cache})}}]"
    named = f"{output}.map(d, {{'path': {path}, 'name': string(d)}})"
    yield "named", f"{named} + (has({_SPEC}.cache) && has({cache}) ? {of_cache} : [])"

    def step(before: str, repository: str, tag: str = "n.tag") -> str:
        same = "'path': n.path, 'name': n.name"
        return f"variables.{before}.map(n, {{{same}, 'repository': {repository}, 'tag': {tag}}})"

    colon = "n.name.lastIndexOf(':')"
    is_tagged = f"{colon} > n.name.lastIndexOf('/')"
    untagged = f"({is_tagged} ? n.name.substring(0, {colon}) : n.name)"
    yield "parted", step("named", untagged, f"({is_tagged} ? n.name.substring({colon}) : ':latest')")
    has_host = "n.repository.matches('^([^/]*[.:A-Z][^/]*|localhost)/')"
    yield "hosted", step("parted", f"({has_host} ? n.repository : 'docker.io/' + n.repository)")
    hub = "(n.repository.replace('index.docker.io/', 'docker.io/', 1))"
    official = f"{hub}.replace('docker.io/', 'docker.io/library/', 1)"
    yield "full", step("hosted", f"({hub}.matches('^docker[.]io/[^/]*$') ? {official} : {hub})")
    allowed = "variables.policy.destinations"
    refused = f"!{fits(allowed, '[n.repository, n.repository + n.tag]')}"
    words = f"'spec.' + n.path + ': \\'' + n.name + '\\'' + {none_of(allowed)}"
    yield "destinations", f"has({allowed}) ? variables.full.filter(n, {refused}).map(n, {words}) : []"


def _sources() -> str:
    """Return what is refused of the source and of named contexts, of which the builder checks images."""
    contexts, allowed = f"{_SPEC}.contexts", "variables.policy.sources"
    schema = _schema()["properties"]
    at = f"'contexts[' + string({contexts}.indexOf(e)) + ']"
    own = [
        f"(has({_SPEC}.source.{each}) ? ['source.{each}'] : [])" for each in schema["source"]["properties"]
    ]
    named = [
        f"(has({contexts}) ? {contexts}.filter(e, has(e.{each})).map(e, {at}.{each}') : [])"
        for each in schema["contexts"]["items"]["properties"]
        if each not in {"name", "image"}
    ]
    kind = "k.substring(k.lastIndexOf('.') + 1)"
    words = f"'spec.' + k + ': sources are ' + {listed(f'{allowed}.kinds')}"
    of_kinds = (
        f"has({allowed}) && has({allowed}.kinds)"
        f" ? ({' + '.join(own + named)}).filter(k, !({kind} in {allowed}.kinds)).map(k, {words}) : []"
    )
    of_hosts = f"({of_kinds}) + ({_hosts('git', 'gitHosts')}) + ({_hosts('http', 'httpHosts')})"
    return f"{of_hosts} + ({bucket_refusals(_SPEC, allowed)})"


def _hosts(kind: str, field: str) -> str:
    """Return what is refused of the hosts that sources and named contexts of a kind are on."""
    contexts, allowed = f"{_SPEC}.contexts", "variables.policy.sources"
    at, own = f"'contexts[' + string({contexts}.indexOf(e)) + ']", f"{_SPEC}.source.{kind}"
    own_url = f"(has({own}) ? [{{'path': 'source.{kind}.url', 'url': string({own}.url)}}] : [])"
    entry = f"{{'path': {at}.{kind}.url', 'url': string(e.{kind}.url)}}"
    named_urls = f"(has({contexts}) ? {contexts}.filter(e, has(e.{kind})).map(e, {entry}) : [])"
    # The host of https://user@host:port/path, or of user@host:path; it ends where URLs end it.
    rest = "u.url.substring(u.url.indexOf('://') + 3)"
    for end in "/?#\\":
        rest += f".split({text(end)})[0]"
    rest = f"(u.url.contains('://') ? {rest} : u.url.split(':')[0])"
    host = f"{rest}.substring({rest}.lastIndexOf('@') + 1).lowerAscii()"
    patterns = f"{allowed}.{field}"
    words = f"'spec.' + u.path + ': host \\'' + {host} + '\\'' + {none_of(patterns)}"
    return (
        f"has({allowed}) && has({patterns})"
        f" ? ({own_url} + {named_urls}).filter(u, !{fits(patterns, f'[{host}]')}).map(u, {words}) : []"
    )


def _secrets() -> str:
    named = " + ".join(_names_of_secrets())
    allowed, accounts = "variables.policy.secrets", "variables.policy.serviceAccounts"
    words = f"'spec.' + n.path + ': Secret \\'' + n.name + '\\'' + {none_of(allowed)}"
    account = f"{_SPEC}.serviceAccountName"
    of_account = (
        f"has({accounts}) && has({account})"
        f" ? [{account}].filter(a, !{fits(accounts, '[a]')})"
        f".map(a, 'spec.serviceAccountName: \\'' + a + '\\'' + {none_of(accounts)}) : []"
    )
    of_secrets = f"has({allowed}) ? ({named}).filter(n, !{fits(allowed, '[n.name]')}).map(n, {words}) : []"
    return f"({of_secrets}) + ({of_account})"


def _limits() -> str:
    asked, most = f"{_SPEC}.timeout", "variables.policy.maxTimeout"
    words = f"'spec.timeout: ' + {asked} + ' is more than ' + {most} + ', so set it to that or less'"
    parts = [f"has({most}) && duration({asked}) > duration({most}) ? [{words}] : []"]
    asked, most = f"{_SPEC}.retries", "variables.policy.maxRetries"
    words = f"'spec.retries: ' + string({asked}) + ' is more than ' + string({most})"
    parts.append(f"has({most}) && has({asked}) && {asked} > {most} ? [{words}] : []")
    for kind in ("requests", "limits"):
        amounts = f"{_SPEC}.resources.{kind}"
        for name, field in _MEASURED:
            given = f"has({_SPEC}.resources) && has({amounts}) && '{name}' in {amounts}"
            parts.append(_limit(f"resources.{kind}.{name}", f"{amounts}['{name}']", given, field))
    work = f"{_SPEC}.pod.workspace"
    is_memory = f"(has({work}.medium) && {work}.medium == 'Memory')"
    for field, wanted in (("memory", is_memory), ("ephemeralStorage", f"!{is_memory}")):
        given = f"has({_SPEC}.pod) && has({work}) && has({work}.sizeLimit) && {wanted}"
        parts.append(_limit("pod.workspace.sizeLimit", f"{work}.sizeLimit", given, field))
    return " + ".join(f"({each})" for each in parts)


def _limit(path: str, amount: str, given: str, field: str) -> str:
    """Return the refusal of an amount that is over a ceiling, as a list."""
    most = f"variables.policy.maxResources.{field}"
    is_more = f"quantity(string({amount})).isGreaterThan(quantity({most}))"
    words = f"'spec.{path}: ' + string({amount}) + ' is more than ' + {most}"
    return f"has(variables.policy.maxResources) && has({most}) && {given} && {is_more} ? [{words}] : []"


def _placement() -> str:
    pod, allowed = f"{_SPEC}.pod", "variables.policy.placement"
    asks = f"has({allowed}) && has({_SPEC}.pod)"
    nodes, wanted = f"{pod}.nodeSelector", f"{allowed}.nodeSelector"
    others = f"{wanted}.filter(k, k in {nodes} && {nodes}[k] != {wanted}[k])"
    words = f"'spec.pod.nodeSelector.' + k + ': \\'' + {nodes}[k] + '\\' is not \\'' + {wanted}[k] + '\\''"
    of_nodes = (
        f"{asks} && has({nodes}) && has({wanted}) && size({others}) > 0"
        f" ? [string({others}.min())].map(k, {words}) : []"
    )
    parts = [of_nodes]
    tolerations, taints = f"{pod}.tolerations", f"{allowed}.allowedTaints"
    what = "(has(e.key) ? 'taint \\'' + e.key + '\\'' : 'every taint')"
    key = "[has(e.key) ? string(e.key) : '']"
    refused = f"!{fits(taints, key)}"
    words = f"'spec.pod.tolerations[' + string({tolerations}.indexOf(e)) + ']: ' + {what} + {none_of(taints)}"
    parts.append(
        f"{asks} && has({tolerations}) && has({taints})"
        f" ? {tolerations}.filter(e, {refused}).map(e, {words}) : []"
    )
    for field, names in (
        ("priorityClassName", "priorityClassNames"),
        ("runtimeClassName", "runtimeClassNames"),
    ):
        name, patterns = f"{pod}.{field}", f"{allowed}.{names}"
        words = f"'spec.pod.{field}: \\'' + {name} + '\\'' + {none_of(patterns)}"
        parts.append(
            f"{asks} && has({name}) && has({patterns})"
            f" ? [string({name})].filter(a, !{fits(patterns, '[a]')}).map(a, {words}) : []"
        )
    return " + ".join(f"({each})" for each in parts)


def _schema() -> dict[str, Any]:
    version = image_build_definition()["spec"]["versions"][0]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema


@dataclass(frozen=True, slots=True)
class _Named:
    """A field that names a Secret.

    Attributes:
        conditions: Expressions that hold where it is there.
        entry: The expression of its path and name.
    """

    conditions: tuple[str, ...]
    entry: str

    @property
    def condition(self) -> str:
        return " && ".join(self.conditions) or "true"


def _names_of_secrets() -> Iterator[str]:
    """Yield lists, in CEL, of the Secrets that a spec names: path and name.

    A field counts whose name has "secret" in it, as for the operator (`secrets_of`).

    Raises:
        NestedListError: The schema has a Secret in a list of a list.
    """
    for name, schema in _schema()["properties"].items():
        value = f"{_SPEC}.{name}"
        here = _Named((f"has({value})",), f"'{name}")
        for found in _walked(schema, value, here, is_secret="secret" in name.lower()):
            yield found if isinstance(found, str) else f"({found.condition} ? [{found.entry}] : [])"


def _walked(schema: dict[str, Any], value: str, here: _Named, *, is_secret: bool) -> Iterator[_Named | str]:
    """Yield what a part of the schema has: fields, and whole lists of those that are in a list.

    Args:
        schema: Of the part.
        value: The expression of its value.
        here: When it is there, and the expression of its path without the quote at its end.
        is_secret: Whether its name has "secret" in it.
    """
    conditions, path = here.conditions, here.entry
    match schema.get("type"):
        case "object":
            properties: dict[str, Any] = schema.get("properties", {})
            if is_secret and "name" in properties:
                entry = f"{{'path': {path}', 'name': string({value}.name)}}"
                yield _Named((*conditions, f"has({value}.name)"), entry)
            for name, inner in properties.items():
                field = _Named((*conditions, f"has({value}.{name})"), f"{path}.{name}")
                yield from _walked(inner, f"{value}.{name}", field, is_secret="secret" in name.lower())
        case "array":
            item = _Named((), f"{path}[' + string({value}.indexOf(e)) + ']")
            for found in _walked(schema["items"], "e", item, is_secret=is_secret):
                if isinstance(found, str):
                    raise NestedListError(f"{value}: CEL has no way to write what {found} is")
                yield f"({here.condition} ? {value}.filter(e, {found.condition}).map(e, {found.entry}) : [])"
        case _:
            return
