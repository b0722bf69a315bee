"""One of many processes that fight for a lock: `python -m tests.chaos.torture_worker ROOT LOG SEED`.

Each time it has the lock it appends two records and commits, adding to the chain in the state's outputs the fence of
every write it finds or makes. What was acknowledged goes to LOG, a line each: the next holder must find it.
Ends when ROOT/stop exists. The store is the one that ROOT/.infctl/backend.json remembers, ROOT's own without it.
"""

from __future__ import annotations

import os
import random
import sys
import time
from dataclasses import replace
from pathlib import Path

from infctl.diagnostics import InfctlError
from infctl.ops.stores import last_config, make_store
from infctl.state.journal import Record
from infctl.state.store import Lease, Store


def work(store: Store, lease: Lease, dice: random.Random, log: int) -> None:
    loaded = store.load()
    state = loaded.state
    assert state is not None
    chain = list(state.outputs["chain"])
    chain += [record.step for record in loaded.journal]  # of a holder that was killed before its commit
    for number in range(2):
        time.sleep(dice.uniform(0, 0.02))
        name = f"{lease.fence}:append{number}"
        lease.append([Record(name, "begin")])
        os.write(log, f"{name}\n".encode())
        chain.append(name)
    time.sleep(dice.uniform(0, 0.02))
    chain.append(f"{lease.fence}:commit")
    lease.commit(replace(state, serial=state.serial + 1, outputs={"chain": tuple(chain)}))
    os.write(log, f"{lease.fence}:commit\n".encode())


def main(root: Path, log: int, dice: random.Random) -> None:
    config = last_config(root)
    while not (root / "stop").exists():
        try:
            store = make_store(root, "default", os.environ, config)
            with store.lock(f"pid {os.getpid()}", "torture", timeout=60) as lease:
                work(store, lease, dice, log)
        except InfctlError as failure:
            os.write(log, f"refused {failure.diagnostics[0].code}\n".encode())
        time.sleep(dice.uniform(0, 0.01))


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        random.Random(int(sys.argv[3])),
    )
