"""One of several infctl that want the same devices at once: run as `python -m …race_worker SOCKET LINEAGE TRIES`.

Each of its threads reserves a share, makes a container that holds it, counts what all such containers hold, and
removes it. Prints one line for each try: "had N" with the count, or "taken".
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from infctl.provider.errors import ProviderError
from infctl.provider.values import Labels, Share
from infctl_docker.hosts import Host, HostConfig
from infctl_docker.promises import DEVICES, ID, LINEAGE, promised, read_promises, write_shares
from infctl_docker.reserve import reserved

ROOM = {"GPU-race-0": 10, "MIG-GPU-race-1/3/0": 10}
THREADS = 3
IMAGE = "busybox:1"


def take(host: Host, lineage: str, number: int) -> str:
    device = list(ROOM)[number % 2]
    share = Share(device, 0 if number % 5 == 4 else 4)
    labels = Labels(f"{lineage}-{number}", lineage, "s", "default", "a.b", "b", 1, "", 3)
    try:
        with reserved(host, [share], labels, image=IMAGE, room=ROOM):
            kept = {ID: labels.id, LINEAGE: lineage, DEVICES: write_shares([share])}
            made = host.api.create_container(IMAGE, command=["true"], labels=kept)["Id"]
    except ProviderError as refused:
        return f"taken {str(refused).splitlines()[0]}"
    listed = host.api.containers(all=True, filters={"label": [DEVICES, ID]})
    count = max(promised(read_promises(listed, 0.0, lineage), one, whole) for one, whole in ROOM.items())
    time.sleep(0.05)
    host.api.remove_container(made, v=True, force=True)
    return f"had {count}"


def main(socket: str, lineage: str, tries: str) -> None:
    host = Host(HostConfig(url=f"unix://{socket}"))
    with ThreadPoolExecutor(THREADS) as pool:
        for line in pool.map(lambda number: take(host, lineage, number), range(int(tries))):
            print(line, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
