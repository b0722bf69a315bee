"""A cluster by hand: `python -m tests.testbed.kube` builds what is missing and holds a cluster until it is ended.

`node`, `prometheus` and `keda` as arguments come with it.
"""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys

from tests.testbed.bed import Bed
from tests.testbed.hosts import DockerHost, Make
from tests.testbed.kube import parts
from tests.testbed.kube.keda import start_keda
from tests.testbed.kube.node import NUMBER, Node
from tests.testbed.kube.plane import BedCluster
from tests.testbed.kube.prometheus import Prometheus


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.testbed.kube", description=__doc__)
    parser.add_argument("more", nargs="*", choices=("node", "prometheus", "keda"))
    more = parser.parse_args().more
    parts.main(("kubebed", *(["keda"] if "keda" in more else [])))
    bed = Bed()
    try:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        cluster = BedCluster(bed)
        told = {"KUBECONFIG": str(cluster.kubeconfig), "url": cluster.url, "kubectl": shlex.join(cluster.command)}
        known: dict[str, object] = {"cluster": cluster}
        if "node" in more:
            known["node"] = Node(cluster, DockerHost(bed, NUMBER, "node-1", Make("current")))
        if "prometheus" in more:
            known["prometheus"] = prometheus = Prometheus(bed)
            told["prometheus"] = prometheus.url
        if "keda" in more:
            start_keda(cluster)
        print(json.dumps(told, indent=1), flush=True)
        for line in sys.stdin:
            print(obey(known, shlex.split(line)), flush=True)
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        bed.close()


def obey(known: dict[str, object], words: list[str]) -> str:
    """Run "WHOSE METHOD ARGUMENT...", as in "cluster crash apiserver", "node load llama:1"."""
    if len(words) < 2 or not hasattr(known.get(words[0]), words[1]):
        return f"say: WHOSE METHOD [ARGUMENT...], as in: cluster crash apiserver (there is {', '.join(known)})"
    try:
        return str(getattr(known[words[0]], words[1])(*words[2:]))
    except AssertionError as failed:
        return str(failed)


if __name__ == "__main__":
    main()
