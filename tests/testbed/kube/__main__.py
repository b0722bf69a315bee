"""A cluster by hand: `python -m tests.testbed.kube` builds what is missing and holds a cluster until it is ended."""

from __future__ import annotations

import json
import shlex
import signal
import sys

from tests.testbed.bed import Bed
from tests.testbed.kube import parts
from tests.testbed.kube.plane import BedCluster


def main() -> None:
    parts.main(())
    bed = Bed()
    try:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        cluster = BedCluster(bed)
        told = {"KUBECONFIG": str(cluster.kubeconfig), "url": cluster.url, "kubectl": shlex.join(cluster.command)}
        print(json.dumps(told, indent=1), flush=True)
        for line in sys.stdin:
            print(obey(cluster, shlex.split(line)), flush=True)
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        bed.close()


def obey(cluster: BedCluster, words: list[str]) -> str:
    """Run "METHOD ARGUMENT...", as in "crash apiserver", "load_crds keda.sh", "user ada team-a"."""
    if not words or not hasattr(cluster, words[0]):
        return "say: METHOD [ARGUMENT...], as in: crash apiserver"
    try:
        return str(getattr(cluster, words[0])(*words[1:]))
    except AssertionError as failed:
        return str(failed)


if __name__ == "__main__":
    main()
