"""Everything of a stack is killed, as by a reboot: plan says so, apply starts it again as the same objects."""

from __future__ import annotations

from tests.acceptance.stack import Stack, complete

TWO = """\
apiVersion: infctl/v1
name: acme
models:
  chat:
    uri: file:m.gguf
    max_model_len: 512
    replicas: 2
    engine_args: {threads: 1, parallel: 1}
  embed:
    uri: file:m.gguf
    task: embed
    max_model_len: 512
    engine_args: {threads: 1, parallel: 1}
"""


def identities(stack: Stack) -> dict[str, tuple[str, str]]:
    """Return the id and the url, with its port, of what stands at each address."""
    return {thing["address"]: (thing["id"], thing["outputs"].get("url", "")) for thing in stack.state()["resources"]}


def test_what_a_reboot_stopped_is_started_again_with_the_same_ids_and_ports(small: Stack) -> None:
    small.write(TWO)
    small.infctl("apply", "-auto-approve")
    before, urls = identities(small), [small.url("chat"), small.url("embed")]
    killed = small.processes()
    assert len(killed) == 2 * 4  # a supervisor and its child for three replicas and the relay
    for process in killed:
        process.kill()
    for process in killed:
        process.wait(10)

    planned = small.infctl("plan", "-detailed-exitcode", code=2)
    assert planned.count("started again (stopped)") == len(before)
    assert "Plan: 0 to add, 6 to change, 0 to destroy." in planned
    assert "stopped" in small.infctl("drift", "-detailed-exitcode", code=2)
    status = small.infctl("status")
    assert "0/2" in status
    assert "0/1" in status

    small.infctl("apply", "-auto-approve")
    assert identities(small) == before
    assert [small.url("chat"), small.url("embed")] == urls
    assert complete(urls[0])
    assert "No changes." in small.infctl("plan", "-detailed-exitcode")
    assert len(small.processes()) == len(killed)
