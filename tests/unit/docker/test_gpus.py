"""What of a host's GPUs can still be promised: by what others use, ask for, and were promised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infctl.provider.values import Device, Share
from infctl_docker.facts.machine import Memory
from infctl_docker.facts.nvidia import App, Gpu, Slice, SliceMemory
from infctl_docker.gpus import Tell, claims, count_devices
from infctl_docker.promises import DEVICES, FENCE, ID, LEASE, LINEAGE, VALUES, Promise, read_promises, write_shares

A, B = "GPU-a", "GPU-b"
PARTS = ("MIG-x", "MIG-y")
OURS, THEIRS = "c" * 64, "d" * 64
BOTH = (
    Gpu(0, A, "NVIDIA L40S", 46_000, 1_000, 44_000, compute="8.9"),
    Gpu(1, B, "NVIDIA L40S", 46_000, 0, 45_000, compute="8.9"),
)
CUT = Tell(
    (Gpu(0, A, "NVIDIA A100", 80_000, 0, 80_000, mig=True),),
    (Slice(0, A, 0, "3g.40gb", "MIG-x"), Slice(0, A, 1, "3g.40gb", "MIG-y")),
    {(0, 0): SliceMemory(10, 40_000), (0, 1): SliceMemory(30_000, 40_000)},
)


def holding(*shares: Share) -> Promise:
    return Promise(OURS, "replica", "running", {}, shares, 0)


def devices(tell: Tell, *promises: Promise, memory: Memory | None = None) -> list[Device]:
    return [one.device for one in count_devices(tell, promises, (), memory=memory)]


def free(tell: Tell, *promises: Promise, claimed: frozenset[str] = frozenset()) -> dict[str, tuple[int, bool]]:
    found = (one.device for one in count_devices(tell, promises, claimed))
    return {one.uuid: (one.memory_free, one.taken) for one in found}


def test_what_others_use_and_the_driver_keeps_is_not_free() -> None:
    assert free(Tell(BOTH)) == {A: (44_000, False), B: (45_000, False)}


def test_a_stranger_process_takes_a_device_and_leaves_the_rest_of_its_memory() -> None:
    busy = Tell(BOTH, apps=(App(A, 7, 900),), owners={7: ""})
    assert free(busy)[A] == (44_000, True)


def test_more_than_a_tenth_in_use_takes_a_device_whoever_uses_it() -> None:
    desktop = Tell((Gpu(0, A, "RTX", 20_000, 2_001, 17_000),))
    assert free(desktop)[A] == (17_000, True)


def test_our_promise_counts_whether_it_is_used_or_not() -> None:
    promise = holding(Share(A, 10_000))
    assert free(Tell(BOTH), promise)[A] == (34_000, True)  # nobody computes: the thousand in use are not ours
    loaded = Tell((Gpu(0, A, "L40S", 46_000, 9_000, 36_000),), apps=(App(A, 7, 8_000),), owners={7: OURS})
    assert free(loaded, promise)[A] == (34_000, True)  # 45000 usable, 10000 promised, 1000 of somebody else


def test_what_a_neighbour_uses_is_told_from_what_we_use_by_its_container() -> None:
    shared = Tell(
        (Gpu(0, A, "H100", 80_000, 50_000, 29_000),),
        apps=(App(A, 7, 20_000), App(A, 8, 30_000)),
        owners={7: OURS, 8: THEIRS},
    )
    assert free(shared, holding(Share(A, 24_000)))[A] == (79_000 - 30_000 - 24_000, True)


def test_where_nobody_tells_whose_memory_it_is_ours_is_believed_to_be_the_promised_part() -> None:
    untold = Tell((Gpu(0, A, "H100", 80_000, 50_000, 29_000),), apps=(App(A, 7, None),), owners={7: OURS})
    assert free(untold, holding(Share(A, 24_000)))[A] == (79_000 - 26_000 - 24_000, True)


def test_a_whole_device_that_was_promised_has_nothing_left() -> None:
    assert free(Tell(BOTH), holding(Share(B)))[B] == (0, True)


def test_a_device_that_a_strangers_container_asked_for_is_not_ours_to_give() -> None:
    assert free(Tell(BOTH), claimed=frozenset({A})) == {A: (0, True), B: (45_000, False)}


@pytest.mark.parametrize("reserved", [1, "1", B])
def test_a_reserved_device_is_not_there(reserved: str | int) -> None:
    assert [one.device.uuid for one in count_devices(Tell(BOTH), (), (), [reserved])] == [A]


def test_a_gpu_that_is_cut_is_its_slices() -> None:
    found = devices(CUT, holding(Share("MIG-x", 5_000)))
    assert [(one.uuid, one.parent, one.product) for one in found] == [
        (uuid, A, "NVIDIA A100 MIG 3g.40gb") for uuid in PARTS
    ]
    assert [(one.memory_total, one.memory_free, one.taken) for one in found] == [
        (40_000, 35_000, True),
        (40_000, 10_000, True),
    ]
    assert count_devices(CUT, (), (), [A]) == ()


def test_a_slice_whose_memory_nobody_tells_has_what_its_profile_has_at_least() -> None:
    (first, _) = devices(Tell(CUT.gpus, CUT.slices))
    assert first.memory_total == 40 * 1024**3 * 5 // 6


def test_a_gpu_in_mig_mode_without_slices_gives_nothing() -> None:
    assert devices(Tell(CUT.gpus)) == []


def test_a_gpu_without_memory_of_its_own_has_the_hosts() -> None:
    gb10 = Tell((Gpu(0, A, "NVIDIA GB10", 0, 0, 0, shared=True),))
    (device,) = devices(gb10, memory=Memory(128_000, 100_000))
    assert (device.memory_total, device.memory_free, device.taken) == (128_000, 100_000, False)


def test_a_gpu_that_needs_a_reset_gives_nothing() -> None:
    (device,) = devices(Tell((Gpu(0, A, "H100", 0, 0, 0),)))
    assert device.memory_free == 0


def test_the_room_of_a_device_is_what_others_leave_and_never_less_than_we_hold() -> None:
    promises = (holding(Share(A, 10_000)), holding(Share(B)))
    crowded = Tell((Gpu(0, A, "L40S", 46_000, 40_000, 5_000), BOTH[1]), apps=(App(A, 7, 39_000),), owners={7: THEIRS})
    assert [one.room for one in count_devices(Tell(BOTH), promises, ())] == [44_000, 45_000]
    assert [one.room for one in count_devices(crowded, promises, ())] == [10_000, 45_000]


APPS = st.builds(App, st.just(A), st.integers(1, 4), st.none() | st.integers(0, 60_000))


@given(
    used=st.integers(0, 46_000),
    apps=st.lists(APPS, max_size=4),
    owners=st.dictionaries(st.integers(1, 4), st.sampled_from([OURS, THEIRS, ""])),
    held=st.lists(st.integers(1, 20_000), min_size=1, max_size=3),
)
def test_what_is_free_is_never_more_than_there_is_and_nothing_is_free_twice(
    used: int, apps: list[App], owners: dict[int, str], held: list[int]
) -> None:
    tell = Tell((Gpu(0, A, "x", 46_000, used, 45_000 - used),), apps=tuple(apps), owners=owners)
    promises = [holding(Share(A, size)) for size in held]
    (device,) = devices(tell, *promises)
    assert 0 <= device.memory_free <= device.memory_total
    assert device.taken
    if device.memory_free and all(app.pid in owners and app.memory is not None for app in apps):
        (after,) = devices(tell, *promises, holding(Share(A, device.memory_free)))
        assert after.memory_free == 0


# ---------------------------------------------------------------- what strangers asked for


def asking(host: Mapping[str, Any], *env: str) -> dict[str, Any]:
    return {"HostConfig": host, "Config": {"Env": list(env)}}


def requesting(**request: Any) -> dict[str, Any]:
    return asking({"DeviceRequests": [{"Driver": "", "Count": 0, "Capabilities": [["gpu"]], **request}]})


@pytest.mark.parametrize(
    ("inspected", "uuids"),
    [
        (requesting(DeviceIDs=["1"]), {B}),
        (requesting(DeviceIDs=[A, B]), {A, B}),
        (requesting(Count=1), {A}),
        (requesting(Count=-1), set()),
        (requesting(Driver="cdi", Capabilities=None, DeviceIDs=["nvidia.com/gpu=1"]), {B}),
        (requesting(Driver="cdi", Capabilities=None, DeviceIDs=["nvidia.com/gpu=all"]), set()),
        (requesting(Driver="cdi", Capabilities=None, DeviceIDs=["vendor.com/nic=0"]), set()),
        (requesting(Count=1, Capabilities=[["fpga"]]), set()),
        (asking({"Devices": [{"PathOnHost": "/dev/nvidia1"}, {"PathOnHost": "/dev/nvidiactl"}]}), {B}),
        (asking({"Runtime": "nvidia"}, f"NVIDIA_VISIBLE_DEVICES={B}", "PATH=/bin"), {B}),
        (asking({"Runtime": "nvidia"}, "NVIDIA_VISIBLE_DEVICES=all"), set()),
        (asking({"Runtime": "runc"}, "NVIDIA_VISIBLE_DEVICES=0"), set()),
        (asking({"DeviceRequests": None, "Devices": None}), set()),
    ],
)
def test_a_container_asks_for_devices_in_many_ways(inspected: dict[str, Any], uuids: set[str]) -> None:
    assert claims([inspected], Tell(BOTH)) == uuids


@pytest.mark.parametrize(("name", "uuids"), [("MIG-y", {"MIG-y"}), ("0:1", {"MIG-y"}), (A, {A, *PARTS})])
def test_a_slice_is_asked_for_by_uuid_or_number_or_with_its_gpu(name: str, uuids: set[str]) -> None:
    assert claims([requesting(DeviceIDs=[name])], CUT) == uuids


# ---------------------------------------------------------------- what labels say


def listed(state: str, labels: Mapping[str, str]) -> dict[str, Any]:
    return {"Id": OURS, "Names": ["/one"], "State": state, "Created": 100, "Labels": labels}


@pytest.mark.parametrize("state", ["created", "running", "restarting", "paused"])
def test_a_container_that_may_run_holds_what_it_was_promised(state: str) -> None:
    labels = {ID: "i", DEVICES: write_shares([Share(A, 5), Share(B)]), VALUES: '{"memory": 7}'}
    (promise,) = read_promises([listed(state, labels)], 0.0, "mine")
    assert (promise.shares, promise.memory) == ((Share(A, 5), Share(B)), 7)


@pytest.mark.parametrize(
    ("state", "lineage", "holds"),
    [("exited", "mine", False), ("exited", "theirs", True), ("dead", "theirs", False), ("removing", "theirs", False)],
)
def test_one_that_is_down_holds_nothing_unless_others_may_start_it_again(state: str, lineage: str, holds: bool) -> None:
    labels = {ID: "i", LINEAGE: lineage, DEVICES: write_shares([Share(A)])}
    assert bool(read_promises([listed(state, labels)], 0.0, "mine")) is holds


def test_a_reservation_holds_until_its_time_is_over_by_the_daemons_clock() -> None:
    labels = {LEASE: "60", LINEAGE: "l", FENCE: "3", DEVICES: write_shares([Share(A)])}
    (promise,) = read_promises([listed("created", labels)], 160.0, "mine")
    assert (promise.reservation, promise.fence) == (True, 3)
    assert read_promises([listed("created", labels)], 160.5, "mine") == ()


def test_what_strangers_write_into_our_labels_promises_nothing() -> None:
    wild = [
        listed("running", {DEVICES: text, VALUES: text}) for text in ("", "{", "7", '["x"]', "null", '{"memory": "x"}')
    ]
    assert all(not one.shares and not one.memory for one in read_promises(wild, 0.0, "mine"))
    assert read_promises([listed("running", {}), {**listed("running", {}), "Labels": None}], 0.0, "mine") == ()
