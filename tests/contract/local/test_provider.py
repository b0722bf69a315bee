"""The local target with its real parts: supervisors, llama.cpp engines, the relay."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from pydantic import ValidationError

from infctl.provider.values import Do, Known, Scope, template_hash
from infctl.secrets import Secret, SecretRef
from infctl_local.config import LocalTarget
from infctl_local.provider import LocalProvider
from tests.contract.local.asking import answer, pids, processes_in, run_dir, stream
from tests.contract.local.stack import LocalStack, custom, deployment, ident_of, only, template


def test_a_model_is_served_switched_drained_and_removed(stack: LocalStack) -> None:
    first = stack.lower(deployment(template()))
    stack.make(*first)
    assert stack.wait_ready(only(first, "local_process")).ready
    url = stack.seen['local_route.tiny["local"]'].outputs["url"]
    assert url.endswith("/v1")
    tokens = list(stream(f"{url}/completions", {"model": "tiny", "prompt": "Once", "max_tokens": 5, "temperature": 0}))
    assert len(tokens) >= 2

    second = stack.lower(deployment(template(args={"ctx_size": 512, "parallel": 1, "threads": 1}), 2))
    old, new = only(first, "local_process"), only(second, "local_process")
    stack.do(Do.CREATE, new)
    assert stack.wait_ready(new).ready
    route = replace(only(second, "local_route"), revision=1)
    switched = stack.do(Do.SWITCH, route)
    assert switched is not None
    assert switched.outputs["url"] == url
    assert switched.values["backends"] == (stack.seen[str(new.address)].outputs["url"],)
    stack.do(Do.DRAIN, old, timeout=10.0)
    assert stack.do(Do.DELETE, old) is None
    assert answer(f"{url}/completions", {"model": "tiny", "prompt": "Once", "max_tokens": 1})["choices"]
    assert {seen.id for seen in stack.observe()} == {ident_of(w) for w in (new, route, only(second, "local_relay"))}

    stack.end()
    assert stack.observe() == ()
    assert processes_in(stack.context.data) == []
    assert not list((stack.context.data / "run").iterdir())
    kept = {path.name for path in (stack.context.data / "kept").glob("*/*")}
    assert kept == {"log", "object.json"}


def test_what_is_lowered_has_exactly_the_fields_of_its_kind(stack: LocalStack) -> None:
    wants = stack.lower(deployment(template(), slots=(0, 2)), deployment(template(), model="other"))
    assert [str(want.address) for want in wants] == [
        "local_relay.local",
        'local_process.tiny["local/0"]',
        'local_process.tiny["local/2"]',
        'local_route.tiny["local"]',
        'local_process.other["local/0"]',
        'local_route.other["local"]',
    ]
    for want in wants:
        assert set(want.values) == set(LocalProvider.kinds[want.address.kind].fields)
    assert wants[1].spec_hash == template_hash(template())
    assert stack.lower() == ()


def test_secrets_are_private_files_or_environment_and_nothing_else(stack: LocalStack) -> None:
    words = {"TOKEN": "canary-file-7Qz", "KEY": "canary-env-9Xw"}
    refs = {"TOKEN": SecretRef("token", "file", "d1"), "KEY": SecretRef("key", "env", "d2")}
    relay, replica, route = stack.lower(custom(env={"MY_PLAIN": "word", **refs}))
    given = {name: Secret(words[name], ref) for name, ref in refs.items()}
    stack.make(relay)
    stack.do(Do.CREATE, replica, after={**replica.values, "env": {"MY_PLAIN": "word", **given}})
    stack.do(Do.CREATE, route)
    assert stack.wait_ready(replica).ready
    env = answer(stack.seen[str(replica.address)].outputs["url"] + "/health")["env"]
    file = Path(env["TOKEN_FILE"])
    assert (file.read_text("utf-8"), env["KEY"], env["MY_PLAIN"]) == (words["TOKEN"], words["KEY"], "word")
    assert "TOKEN" not in env
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)

    (seen,) = [thing for thing in stack.observe() if thing.address == replica.address]
    assert seen.values["env"] == {"MY_PLAIN": "word", **refs}
    for path in (p for p in stack.context.data.rglob("*") if p.is_file() and p != file):
        assert path.stat().st_mode & 0o077 == 0, path
        text = path.read_text("utf-8", errors="replace")
        assert not [word for word in words.values() if word in text], path
    for pid in (*pids(stack, replica).values(), *pids(stack, relay).values()):
        line = " ".join(psutil.Process(pid).cmdline())
        assert not [word for word in words.values() if word in line]
    assert not [word for word in words.values() if word in repr((seen, stack.said))]

    stack.do(Do.STOP, replica)
    assert not file.exists()
    stack.do(Do.DELETE, replica)
    for path in (p for p in stack.context.data.rglob("*") if p.is_file()):
        assert not [word for word in words.values() if word in path.read_text("utf-8", errors="replace")]


def test_a_custom_engine_gets_its_port_and_starts_in_the_stacks_folder(stack: LocalStack) -> None:
    relay, replica, route = stack.lower(custom())
    stack.make(relay, replica, route)
    assert stack.wait_ready(replica).ready
    said = answer(stack.seen[str(route.address)].outputs["url"])
    port = stack.seen[str(replica.address)].outputs["port"]
    assert said["argv"][1:] == [f"--port={port}"]
    assert said["env"]["PORT"] == str(port)
    assert said["cwd"] == str(stack.context.root)


def test_the_log_of_a_removed_revision_can_still_be_read(stack: LocalStack) -> None:
    for revision in range(1, 13):
        replica = only(stack.lower(custom(revision=revision, env={"MY_REVISION": str(revision)})), "local_process")
        path = run_dir(stack, replica)
        stack.do(Do.CREATE, replica)
        if revision > 10:
            assert stack.wait_ready(replica).ready
        seen = stack.seen[str(replica.address)]
        stack.do(Do.DELETE, replica)
        assert not path.exists()
    lines = list(stack.provider.logs(seen, tail=5, follow=False))
    assert lines[0].startswith("serving with")
    assert seen.labels
    by_revision = replace(seen, id="", name="", labels=replace(seen.labels, id="", revision=11))
    assert list(stack.provider.logs(by_revision, tail=1, follow=False))
    assert len(list((stack.context.data / "kept").iterdir())) == 10


def test_logs_follow_until_the_replica_ends(stack: LocalStack) -> None:
    relay, replica, route = stack.lower(custom())
    stack.make(relay, replica, route)
    assert stack.wait_ready(replica).ready
    lines = stack.provider.logs(stack.seen[str(replica.address)], tail=100, follow=True)
    assert next(lines).startswith("serving with")
    answer(stack.seen[str(replica.address)].outputs["url"] + "/health?marker")
    assert any("marker" in line for line in lines)
    stack.do(Do.STOP, replica)
    assert all(isinstance(line, str) for line in lines)  # it comes to an end


def test_nothing_is_found_where_nothing_ever_ran(stack: LocalStack) -> None:
    assert stack.observe() == ()
    assert not stack.context.data.exists()


def test_objects_of_another_lineage_are_not_ours_unless_state_knows_them(stack: LocalStack) -> None:
    stack.make(*stack.lower(custom()))
    (seen,) = [thing for thing in stack.observe() if thing.address.kind == "local_process"]
    assert stack.provider.observe(Scope("another", "test", "default")).value == ()
    known = Known(seen.address, seen.id, seen.name, seen.outputs)
    assert stack.provider.observe(Scope("another", "test", "default", (known,))).value == (seen,)


def test_replicas_side_by_side_have_ports_of_their_own(stack: LocalStack) -> None:
    wants = [w for w in stack.lower(custom(slots=tuple(range(6)))) if w.address.kind == "local_process"]
    threads = [threading.Thread(target=stack.do, args=(Do.CREATE, want)) for want in wants]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ports = [seen.outputs["port"] for seen in stack.observe()]
    assert len(set(ports)) == 6
    assert all(20_000 <= port <= 29_999 for port in ports)


def test_memory_is_what_is_free_and_no_more_than_the_target_may_promise(stack: LocalStack) -> None:
    (before,) = stack.provider.inventory().value.places
    assert before.cpus >= 1
    assert 0 < before.memory_free < before.memory_total == psutil.virtual_memory().total
    promised = before.memory_free // 2
    stack.do(Do.CREATE, only(stack.lower(custom(memory=promised)), "local_process"))
    (after,) = stack.provider.inventory().value.places
    assert after.memory_free < before.memory_free - promised // 2  # promised, though hardly any of it is taken
    capped = LocalProvider(LocalTarget.model_validate({"memory": promised + 30_000_000}), stack.context)
    (place,) = capped.inventory().value.places
    assert (place.memory_total, place.memory_free) == (promised + 30_000_000, 30_000_000)


def test_doctor_finds_a_healthy_machine_well_and_a_bad_folder_not(stack: LocalStack) -> None:
    findings = {finding.what: finding for finding in stack.provider.check()}
    assert [name for name, finding in findings.items() if not finding.ok] == []
    assert "xllamacpp" in findings["engine llama.cpp"].detail
    file = stack.context.root / "file"
    file.write_text("", "utf-8")
    bad = LocalProvider(LocalTarget(), replace(stack.context, data=file / "data"))
    assert [finding.what for finding in bad.check() if not finding.ok] == ["data folder"]


def test_the_targets_fields_are_checked() -> None:
    assert LocalTarget.model_validate({"memory": "8GB", "ports": [100, 200]}).memory == 8_000_000_000
    for wrong in ({"ports": [200, 100]}, {"ports": [0, 10]}, {"colour": "red"}, {"memory": "much"}):
        with pytest.raises(ValidationError):
            LocalTarget.model_validate(wrong)


def test_importing_the_provider_loads_no_engine_and_no_server() -> None:
    heavy = "{'aiohttp', 'xllamacpp', 'psutil', 'asyncio'} & set(sys.modules)"
    code = f"import sys, infctl_local.provider; print(sorted({heavy}))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
