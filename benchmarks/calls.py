"""Journalled signed calls per second and CPU per call, against moto's server in the same run. Goals: 15 x, under 0.3 ms.

python -m benchmarks.calls
"""

from __future__ import annotations

from benchmarks import load, servers

CALLS = 20_000
PEER_CALLS = 1_500
CONNECTIONS = 64
TARGET = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.DescribeTrails"


def requests(server: servers.Server | servers.Peer, count: int) -> list[bytes]:
    bodies = [f'{{"trailNameList":["trail-{n}"]}}'.encode() for n in range(count)]
    return load.signed(server.credentials, "us-east-1", "cloudtrail", server.url, TARGET, "1.1", bodies)


def main() -> None:
    with servers.moto() as peer:
        load.run(peer.port, requests(peer, 100), 8, peer.pid)
        theirs = load.run(peer.port, requests(peer, PEER_CALLS), CONNECTIONS, peer.pid)
    with servers.opentrail() as server:
        load.run(server.port, requests(server, 500), CONNECTIONS, server.pid)
        ours = load.run(server.port, requests(server, CALLS), CONNECTIONS, server.pid)
    for name, outcome in (("moto", theirs), ("opentrail", ours)):
        print(
            f"{name:10} {outcome.rate:8.0f} calls/s  {outcome.cpu_per_call * 1e6:7.0f} us CPU/call  "
            f"p50 {outcome.percentile(0.5) * 1e3:6.2f} ms  p99 {outcome.percentile(0.99) * 1e3:6.2f} ms  {outcome.statuses}"
        )
    print(f"ratio of calls/s {ours.rate / theirs.rate:.1f} (goal 15), of CPU per call {theirs.cpu_per_call / ours.cpu_per_call:.1f}")


if __name__ == "__main__":
    with load.stolen():
        main()
