"""Calls as clients of Consul's API make them, to the agents of a cluster of three in turn: whoever is
asked, the answer is the same."""
import pytest

from harness import Deadline, wait_until
from test_clients import three  # noqa: F401  (a fixture)


class Client:
    """Calls as one client makes them: each goes to the next agent of the cluster."""

    def __init__(self, pool, **headers):
        self.agents = list(pool.agents)
        self.headers = {k.replace("_", "-"): v for k, v in headers.items()}
        self.turn = 0

    def __call__(self, method, path, body=None, status=200, at=None, **headers):
        """One call; its answer. `at`: the place of the agent that it concerns."""
        agent = self.agents[self.turn % 3 if at is None else at]
        self.turn += 1
        r = agent.request(method, path, body, {**self.headers, **headers}, timeout=60)
        assert r.status == status, f"{method} {path} of {agent.name}: {r.status} {r.text[:500]}"
        if method == "GET" and "X-Consul-Index" in r.headers:
            assert r.index > 0
            if "/event/list" in path:
                return r  # its index is no index of the store
            # Go's clients read these two as well
            assert r.headers["X-Consul-KnownLeader"] == "true"
            assert int(r.headers["X-Consul-LastContact"]) >= 0
        return r

    def get(self, path, **kw):
        return self("GET", path, **kw)

    def put(self, path, body=None, **kw):
        return self("PUT", path, body, **kw)

    def until(self, path, condition, seconds=15, **kw):
        """Asks again and again: what was told to one agent is with the others a moment later."""
        last = []

        def holds():
            last[:] = [self.get(path, **kw)]
            return condition(last[0])
        try:
            wait_until(path, holds, seconds, 0.02)
        except Deadline:
            raise AssertionError(f"{path}: {last[0].text[:2000]}") from None
        return last[0]

    def everywhere(self, path, condition):
        for at in range(3):
            self.until(path, condition, at=at)


@pytest.fixture
def call(three):  # noqa: F811
    client = Client(three)
    yield client
    client("DELETE", "/v1/kv/?recurse=true")
    for at in range(3):
        for ident in client.get("/v1/agent/services", at=at).json:
            client.put(f"/v1/agent/service/deregister/{ident}", at=at)


def web(call, at=0, **more):
    """A service that passes, known everywhere."""
    body = {"ID": f"web-{at}", "Name": "web", "Port": 80 + at, "Tags": ["a", "b"],
            "Meta": {"zone": "z1"}, "Check": {"TTL": "600s", "Status": "passing"}, **more}
    call.put("/v1/agent/service/register", body, at=at)
    call.everywhere(f"/v1/health/service/{body['Name']}?passing=1",
                    lambda r: body["ID"] in [x["Service"]["ID"] for x in r.json])
