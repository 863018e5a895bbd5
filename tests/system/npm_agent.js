// Agent, catalog, health, event and status calls of the npm client `consul`, against the agents of
// one cluster (HOSTS, with a comma between): writes go to one, reads to another.
const assert = require("assert");
const Consul = require("consul");

const [a, b, c] = process.env.HOSTS.split(",").map(
  (host) => new Consul({ host, port: 8500, defaults: { token: "root" } }),
);

async function until(what, condition, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const got = await condition();
    if (got) return got;
    assert.ok(Date.now() < end, `not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function status() {
  assert.strictEqual(await a.status.leader(), await c.status.leader());
  assert.deepStrictEqual((await b.status.peers()).length, 3);
  assert.strictEqual((await a.agent.self()).Config.NodeName, "n1");
  assert.deepStrictEqual((await b.agent.members()).map((m) => m.Name).sort(), ["n1", "n2", "n3"]);
  assert.deepStrictEqual(await c.catalog.datacenters(), ["dc1"]);
  await a.agent.join(process.env.HOSTS.split(",")[1]);
}

// A watch of C's, which must hear of what is told to A.
function hears(service, want) {
  return new Promise((resolve, reject) => {
    const w = c.watch({
      method: c.health.service,
      options: { service, passing: true, wait: "10s" },
      backoffFactor: 100,
    });
    const late = setTimeout(() => reject(new Error("watch: never " + want)), 30000);
    w.on("change", (found) => {
      if (found.length !== want) return;
      clearTimeout(late);
      w.end();
      resolve(found);
    });
    w.on("error", () => {}); // it tries again
  });
}

async function services() {
  const heard = hears("node-web", 1);
  await a.agent.service.register({
    id: "node-web:1",
    name: "node-web",
    address: "10.2.2.2",
    port: 8080,
    tags: ["blue", "v1"],
    meta: { zone: "z1" },
    check: { ttl: "60s", status: "critical", notes: "of the test" },
  });
  const check = "service:node-web:1";
  assert.strictEqual((await a.agent.services())["node-web:1"].Meta.zone, "z1");
  assert.strictEqual((await a.agent.checks())[check].Notes, "of the test");
  await a.agent.check.warn({ id: check, note: "slow" });
  await until("it is in warning", async () =>
    (await c.health.checks("node-web")).some((x) => x.Status === "warning" && x.Output === "slow"));
  await a.agent.check.pass(check);
  const [found] = await heard;
  assert.strictEqual(found.Service.Address, "10.2.2.2");
  assert.strictEqual(found.Node.Node, "n1");
  assert.deepStrictEqual((await b.catalog.services())["node-web"], ["blue", "v1"]);
  const [listed] = await b.catalog.service.nodes("node-web");
  assert.strictEqual(listed.ServicePort, 8080);
  assert.strictEqual((await b.catalog.service.nodes({ service: "node-web", tag: "no" })).length, 0);
  assert.ok((await b.catalog.node.services("n1")).Services["node-web:1"]);
  assert.strictEqual((await b.catalog.nodes()).filter((n) => /^n[123]$/.test(n.Node)).length, 3);
  assert.ok((await b.health.node("n1")).some((x) => x.CheckID === "serfHealth"));
  assert.ok((await b.health.state("passing")).some((x) => x.CheckID === check));
  await a.agent.check.fail({ id: check, note: "broken" });
  await hears("node-web", 0);
  await a.agent.check.pass(check);
  await hears("node-web", 1);

  await a.agent.service.maintenance({ id: "node-web:1", enable: true, reason: "why not" });
  await hears("node-web", 0);
  await a.agent.service.maintenance({ id: "node-web:1", enable: false });
  await hears("node-web", 1);
  await a.agent.maintenance({ enable: true, reason: "all of it" });
  await hears("node-web", 0);
  await a.agent.maintenance(false);
  await hears("node-web", 1);

  await a.agent.check.register({ id: "extra", name: "extra", serviceid: "node-web:1", ttl: "60s" });
  assert.strictEqual((await a.agent.checks()).extra.ServiceID, "node-web:1");
  await a.agent.check.deregister("extra");
  assert.ok(!(await a.agent.checks()).extra);
  await a.agent.service.deregister("node-web:1");
  await until("it is gone", async () => (await c.catalog.service.nodes("node-web")).length === 0);
}

async function catalog() {
  await a.catalog.register({
    node: "npm-ext",
    address: "192.0.2.8",
    service: { id: "mail1", service: "npm-mail", port: 25, tags: ["mx"] },
    check: { node: "npm-ext", name: "m", status: "passing", serviceid: "mail1" },
  });
  const [found] = await until("it is elsewhere", async () => {
    const list = await c.health.service({ service: "npm-mail", passing: true });
    return list.length === 1 && list;
  });
  assert.strictEqual(found.Node.Address, "192.0.2.8");
  await a.catalog.deregister({ node: "npm-ext" });
  await until("it is gone", async () => (await c.catalog.service.nodes("npm-mail")).length === 0);
}

async function events() {
  const fired = await a.event.fire("npm-deploy", "v42");
  assert.strictEqual(fired.Name, "npm-deploy");
  await until("the event is elsewhere", async () =>
    (await c.event.list("npm-deploy")).some((e) => e.ID === fired.ID && e.Payload === "v42"));
  const quiet = await a.event.fire({ name: "npm-deploy", payload: Buffer.from([0, 255]), service: "x" });
  assert.ok(Buffer.isBuffer(quiet.Payload));
}

async function queries() {
  await a.agent.service.register({ name: "node-q", port: 80, tags: ["blue"] });
  await until("it is elsewhere", async () => (await c.catalog.service.nodes("node-q")).length);
  const made = await a.query.create({
    name: "npm-q",
    service: { service: "node-q", onlypassing: true, tags: ["blue"], failover: { nearestn: 2 } },
    dns: { ttl: "10s" },
  });
  assert.strictEqual((await c.query.get(made.ID)).Service.Service, "node-q");
  assert.ok((await b.query.list()).some((q) => q.ID === made.ID));
  const found = await c.query.execute({ query: "npm-q", limit: 1 });
  assert.deepStrictEqual(found.Nodes.map((n) => n.Service.Service), ["node-q"]);
  await b.query.explain("npm-q"); // the client expects a list and drops the answer
  await b.query.update({ query: made.ID, name: "npm-q", service: { service: "node-q", tags: ["no"] } });
  assert.strictEqual((await c.query.execute("npm-q")).Nodes.length, 0);
  await c.query.destroy(made.ID);
  await assert.rejects(c.query.get(made.ID), /not found/);
  await a.agent.service.deregister("node-q");
}

(async () => {
  for (const part of [status, services, catalog, events, queries]) {
    console.log(part.name);
    await part();
  }
  console.log("fine");
  process.exit(0);
})().catch((e) => {
  console.error(e);
  process.exit(1);
});
