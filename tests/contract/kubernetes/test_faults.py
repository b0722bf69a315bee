"""What a cluster refuses, changes by itself, or loses: said in its own words, and nothing of ours is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from infctl.provider.errors import ProviderError
from infctl.provider.kinds import Role
from infctl.provider.testbench import Bench, difference, one_of, seen_as
from infctl.provider.values import Deployment, Do
from infctl_kubernetes.client import Api
from infctl_kubernetes.kinds import ACCOUNT, DEPLOYMENT, NAMESPACE, SERVICE
from infctl_kubernetes.kubeconfig import read_access
from infctl_kubernetes.manifests import RESOURCES
from infctl_kubernetes.rights import NEEDS
from tests.contract.kubernetes.played import CRASHING, context_in, provider_of, serving
from tests.contract.kubernetes.test_conformance import ClusterHarness
from tests.testbed.kube.plane import BedCluster

pytestmark = pytest.mark.xdist_group("kube")


class Place(ClusterHarness):
    """A harness with a bench, by whoever's kubeconfig."""

    def __init__(self, plane: BedCluster, namespace: str, root: Path, by: Path | None = None) -> None:
        super().__init__(plane, namespace, root)
        self.plane, self.namespace = plane, namespace
        said = {"kubeconfig": str(by)} if by else {}
        self.bench = Bench(self, provider_of(plane, self.context, namespace=namespace, **said))

    def said_of(self, wish: Deployment) -> tuple[str, str, str]:
        """Return what the refusal of a wish says."""
        with pytest.raises(ProviderError) as caught:
            self.bench.make(wish)
        said = caught.value.diagnostics[0]
        return said.summary, said.detail, said.hint


@pytest.fixture
def place(plane: BedCluster, namespace: str, tmp_path: Path) -> Place:
    return Place(plane, namespace, tmp_path)


@pytest.fixture
def policy(plane: BedCluster, namespace: str) -> Iterator[Any]:
    """Apply an admission policy to Deployments or pods of the namespace; it goes with the test."""
    made: list[str] = []

    def apply(kind: str, spec: dict[str, Any], *operations: str) -> None:
        rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": operations, "resources": ["deployments"]}
        chosen = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
        api = "admissionregistration.k8s.io/v1"
        binding: dict[str, Any] = {"policyName": namespace, "matchResources": chosen}
        if kind == "ValidatingAdmissionPolicy":
            binding["validationActions"] = ["Deny"]
        plane.apply(
            {"apiVersion": api, "kind": kind, "metadata": {"name": namespace},
             "spec": {"matchConstraints": {"resourceRules": [rule]}, "failurePolicy": "Fail", **spec}},
            {"apiVersion": api, "kind": f"{kind}Binding", "metadata": {"name": namespace}, "spec": binding},
        )  # fmt: skip
        made.extend((f"{kind.lower()}/{namespace}", f"{kind.lower()}binding/{namespace}"))

    yield apply
    plane.kubectl("delete", "--ignore-not-found", *made)


def until(what: Any, seconds: int = 30) -> Any:
    """Return what `what` returns once that is true."""
    for _ in range(seconds * 10):
        if found := what():
            return found
        threading.Event().wait(0.1)
    raise AssertionError("it did not come to be")


def test_a_quota_that_is_used_up_is_named_and_waiting_ends(place: Place) -> None:
    meta = {"name": "few", "namespace": place.namespace}
    place.plane.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": {"pods": "1"}}})
    until(lambda: place.plane.get("quota", "few", "-n", place.namespace).get("status", {}).get("hard"))
    place.bench.make(serving(replicas=3))
    health = place.bench.wait(seen_as(place.bench, Role.REPLICA))
    assert health.dead
    assert "exceeded quota: few" in health.detail


def test_who_may_not_is_told_which_right_is_missing(plane: BedCluster, namespace: str, tmp_path: Path) -> None:
    place = Place(plane, namespace, tmp_path, plane.user("jane"))
    summary, detail, hint = place.said_of(serving())
    assert "jane may not" in summary
    assert "serviceaccounts" in detail
    assert "grant" in hint
    reading = place.bench.observe()
    assert [each.place for each in reading.unreadable] == ["prod"]


def test_the_documented_role_is_enough_for_everything(plane: BedCluster, namespace: str, tmp_path: Path) -> None:
    meta = {"name": "infctl", "namespace": namespace}
    role, _ = yaml.safe_load_all(provider_of(plane, context_in(tmp_path), namespace=namespace).bootstrap())
    group = "rbac.authorization.k8s.io"
    plane.apply(
        role,
        {"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": meta,
         "roleRef": {"apiGroup": group, "kind": "Role", "name": "infctl"},
         "subjects": [{"apiGroup": group, "kind": "User", "name": "deployer"}]},
    )  # fmt: skip
    place = Place(plane, namespace, tmp_path, plane.user("deployer"))
    bench = place.bench
    made = bench.make(serving(replicas=2))
    assert until(lambda: bench.wait(seen_as(bench, Role.REPLICA)).ready)
    assert len(bench.observe().value) == 4
    (want,) = (want for want in bench.lower(serving(2)) if want.address.kind == DEPLOYMENT)
    old = seen_as(bench, Role.REPLICA)
    bench.do(bench.change(Do.CREATE, want, before=old))
    for do in (Do.DRAIN, Do.STOP, Do.DELETE):
        bench.do(replace(made[want.address], do=do, after=None, timeout=60.0))
    findings = {each.what: each for each in bench.provider.check()}  # type: ignore[attr-defined]  # has the ability
    assert [each.what for each in findings.values() if not each.ok] == []
    assert "may not be listed" in findings["GPUs"].detail


def test_the_guide_has_that_role() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "guides" / "kubernetes.md").read_text("utf-8")
    for need in NEEDS:
        assert need.resource in guide
        assert f"verbs: [{', '.join(need.verbs)}]" in guide


def test_an_ended_certificate_is_said(plane: BedCluster, namespace: str, tmp_path: Path) -> None:
    place = Place(plane, namespace, tmp_path, plane.user("old", days=0))
    (wrong,) = place.bench.observe().unreadable
    assert "does not know who asks" in wrong.reason or "certificate" in wrong.reason
    assert wrong.hint


def test_an_admission_rule_that_denies_is_told_in_its_own_words(place: Place, policy: Any) -> None:
    rule = {"expression": "object.spec.replicas < 2", "message": "one replica is plenty"}
    policy("ValidatingAdmissionPolicy", {"validations": [rule]}, "CREATE")
    summary, detail, hint = until(lambda: _refused(place))
    assert "refused by an admission rule" in summary
    assert "one replica is plenty" in detail
    assert "change what the rule names" in hint
    want = one_of(place.bench, place.bench.lower(serving(replicas=4)), Role.REPLICA)
    with pytest.raises(ProviderError, match="refused by an admission rule"):
        place.bench.provider.rehearse(place.bench.change(Do.CREATE, want))  # type: ignore[attr-defined]  # it is able to
    fine = one_of(place.bench, place.bench.lower(serving(replicas=1)), Role.REPLICA)
    place.bench.provider.rehearse(place.bench.change(Do.CREATE, fine))  # type: ignore[attr-defined]
    seen = place.bench.observe().value
    assert [each for each in seen if each.address.kind == DEPLOYMENT] == []


def _refused(place: Place) -> tuple[str, str, str] | None:
    try:
        place.bench.make(serving(replicas=3))
    except ProviderError as failure:
        said = failure.diagnostics[0]
        return said.summary, said.detail, said.hint
    want = one_of(place.bench, place.bench.lower(serving(replicas=3)), Role.REPLICA)
    place.bench.do(place.bench.change(Do.DELETE, want))  # the rule was not known to the server yet
    return None


def test_a_side_container_that_admission_adds_is_no_difference(place: Place, policy: Any) -> None:
    added = (
        "Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{"
        'containers: [Object.spec.template.spec.containers{name: "mesh", image: "mesh:1"}]}}}}'
    )
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": added}}
    policy("MutatingAdmissionPolicy", {"mutations": [mutation], "reinvocationPolicy": "Never"}, "CREATE", "UPDATE")
    place.bench.make(serving())
    want = one_of(place.bench, place.bench.lower(serving()), Role.REPLICA)

    def meshed() -> bool:
        place.bench.do(place.bench.change(Do.UPDATE, want))
        (live,) = place.plane.get("deployment", "-n", place.namespace)["items"]
        return len(live["spec"]["template"]["spec"]["containers"]) > 1

    until(meshed)
    seen = next(each for each in place.bench.observe().value if each.address.kind == DEPLOYMENT)
    assert not difference(place.bench.resolved(want.values), seen.values)


def test_twenty_edits_of_our_fields_are_found_each(place: Place) -> None:
    made = place.bench.make(serving())
    (name,) = (change.name for change in made.values() if change.address.kind == DEPLOYMENT)
    api = Api(read_access(str(place.plane.kubeconfig)))
    path = RESOURCES[DEPLOYMENT].at(place.namespace, name)
    for number in range(20):
        spec = api.get(path)["spec"]
        pod, engine = spec["template"]["spec"], spec["template"]["spec"]["containers"][0]
        holder, field, value = (
            (spec, "replicas", number + 2),
            (engine, "image", f"other:{number}"),
            (engine, "command", ["other", str(number)]),
            (pod, "terminationGracePeriodSeconds", number + 10),
            (engine["env"][0], "value", str(-number)),
        )[number % 5]
        before = holder[field]
        for each in (value, before):
            holder[field] = each
            api.merge(path, {"spec": spec}, "somebody")
            seen = next(one for one in place.bench.observe().value if one.address.kind == DEPLOYMENT)
            assert bool(difference(made[seen.address].after or {}, seen.values)) is (each == value)


def test_a_strangers_object_of_the_same_name_is_never_taken_over(place: Place) -> None:
    port = {"port": 80, "protocol": "TCP"}
    theirs = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kit-tiny", "namespace": place.namespace},
              "spec": {"selector": {"app": "theirs"}, "ports": [port]}}  # fmt: skip
    place.plane.apply(theirs)
    summary, detail, _ = place.said_of(serving())
    assert "Service kit-tiny is there already" in summary
    assert detail == "infctl did not make it"
    live = place.plane.get("service", "kit-tiny", "-n", place.namespace)
    assert live["spec"]["selector"] == {"app": "theirs"}


def test_a_finalizer_that_holds_an_object_is_named(place: Place) -> None:
    made = place.bench.make(serving())
    change = next(change for change in made.values() if change.address.kind == ACCOUNT)
    where = ("serviceaccount", change.name, "-n", place.namespace)
    place.plane.kubectl("patch", *where, "--type=merge", "-p", '{"metadata":{"finalizers":["acme.example/held"]}}')
    with pytest.raises(ProviderError, match="is deleted, but does not go") as caught:
        place.bench.do(replace(change, do=Do.DELETE, after=None, timeout=0.1))
    assert "acme.example/held" in caught.value.diagnostics[0].detail
    place.plane.kubectl("patch", *where, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    assert place.bench.do(replace(change, do=Do.DELETE, after=None)) is None


def test_a_server_that_is_killed_and_started_meanwhile_is_waited_for(place: Place) -> None:
    wants = place.bench.lower(serving())
    place.plane.crash("apiserver")
    again = threading.Thread(target=place.plane.start)
    again.start()
    want = next(want for want in wants if want.address.kind == ACCOUNT)
    seen = place.bench.do(place.bench.change(Do.CREATE, want))
    again.join()
    assert seen is not None
    assert [each.id for each in place.bench.observe().value] == [seen.id]


def test_what_is_not_ours_keeps_its_namespace(plane: BedCluster, namespace: str, tmp_path: Path) -> None:
    place = Place(plane, f"{namespace}-new", tmp_path)
    made = place.bench.make(serving())
    change = next(change for change in made.values() if change.address.kind == NAMESPACE)
    plane.kubectl("create", "configmap", "theirs", "-n", place.namespace)
    with pytest.raises(ProviderError, match="holds more than this stack") as caught:
        place.bench.do(replace(change, do=Do.DELETE, after=None))
    assert caught.value.diagnostics[0].detail == "configmaps: theirs"
    plane.kubectl("delete", "namespace", place.namespace, "--wait=false")


def test_the_pods_are_asked_each_and_a_busy_one_is_waited_for(place: Place) -> None:
    place.bench.make(serving(replicas=2))
    seen = seen_as(place.bench, Role.REPLICA)
    assert until(lambda: place.bench.wait(seen).ready)
    pods = place.plane.get("pod", "-n", place.namespace)["items"]
    place.plane.answers.say(pods[0]["status"]["podIP"], status=503)
    health = place.bench.provider.probe(seen)
    assert (health.ready, "503" in health.detail) == (False, True)


def test_a_crash_is_told_with_what_its_node_says(place: Place) -> None:
    wish = serving()
    place.bench.make(replace(wish, template=replace(wish.template, image=CRASHING)))
    health = until(lambda: (found := place.bench.wait(seen_as(place.bench, Role.REPLICA))).dead and found)
    assert "exit code" in health.detail


def test_a_gpu_that_no_node_has_left_is_said_by_the_scheduler(place: Place) -> None:
    place.bench.make(serving(gpus=64))
    seen = seen_as(place.bench, Role.REPLICA)
    health = until(lambda: (found := place.bench.provider.probe(seen)).detail.startswith("no node") and found)
    assert "Insufficient nvidia.com/gpu" in health.detail
    assert not health.dead


def test_the_service_of_ours_is_mended_whatever_was_put_beside(place: Place) -> None:
    made = place.bench.make(serving())
    change = next(change for change in made.values() if change.address.kind == SERVICE)
    text = (
        '[{"op":"replace","path":"/spec/ports/0/port","value":81},{"op":"add","path":"/spec/selector/app","value":"x"}]'
    )
    place.plane.kubectl("patch", "service", "kit-tiny", "-n", place.namespace, "--type=json", "-p", text)
    seen = next(each for each in place.bench.observe().value if each.address.kind == SERVICE)
    assert set(difference(change.after or {}, seen.values)) == {"port", "backends"}
    mended = place.bench.do(replace(change, do=Do.SWITCH))
    assert mended is not None
    assert not difference(change.after or {}, mended.values)
