// Key, session and transaction calls of the npm client `consul`, against the agent at PORT.
const assert = require("assert");
const Consul = require("consul");

const consul = new Consul({
  host: "127.0.0.1",
  port: Number(process.env.PORT),
  defaults: { token: "root" }, // it is sent although there is no access control
});

// The client takes a body of `false` for none.
async function keys() {
  assert.strictEqual(await consul.kv.set("a/b", "one"), true);
  assert.strictEqual((await consul.kv.get("a/b")).Value, "one");
  assert.strictEqual(await consul.kv.get("a/none"), undefined);
  assert.ok(!(await consul.kv.set({ key: "a/b", value: "two", flags: 1234, cas: "0" })));
  const entry = await consul.kv.get({ key: "a/b", consistent: true });
  assert.strictEqual(
    await consul.kv.set({ key: "a/b", value: "two", flags: 1234, cas: String(entry.ModifyIndex) }),
    true,
  );
  assert.strictEqual((await consul.kv.get({ key: "a/b", stale: true })).Flags, 1234);
  assert.strictEqual(String(await consul.kv.get({ key: "a/b", raw: true })), "two");
  await consul.kv.set("a/c/d", "deep");
  assert.deepStrictEqual(await consul.kv.keys("a/"), ["a/b", "a/c/d"]);
  assert.deepStrictEqual(await consul.kv.keys({ key: "a/", separator: "/" }), ["a/b", "a/c/"]);
  const all = await consul.kv.get({ key: "a/", recurse: true });
  assert.deepStrictEqual(all.map((e) => e.Key), ["a/b", "a/c/d"]);
  assert.strictEqual(await consul.kv.del("a/c/d"), true);
  assert.strictEqual(await consul.kv.del({ key: "a", recurse: true }), true);
  await assert.rejects(consul.kv.keys("a/"), /not found/);
}

async function sessions() {
  const made = await consul.session.create({
    name: "s",
    ttl: "15s",
    behavior: "delete",
    lockdelay: "1ms",
    checks: ["serfHealth"],
  });
  const info = await consul.session.info(made.ID);
  assert.strictEqual(info.ID ?? info[0].ID, made.ID);
  assert.ok((await consul.session.list()).some((s) => s.ID === made.ID));
  assert.ok((await consul.session.node("n1")).some((s) => s.ID === made.ID));
  assert.strictEqual((await consul.session.renew(made.ID))[0].TTL, "15s");
  assert.strictEqual(await consul.kv.set({ key: "lock", value: "me", acquire: made.ID }), true);
  const other = await consul.session.create();
  assert.ok(!(await consul.kv.set({ key: "lock", value: "you", acquire: other.ID })));
  assert.strictEqual(await consul.kv.set({ key: "lock", value: "me", release: made.ID }), true);
  assert.strictEqual(await consul.kv.set({ key: "lock", value: "me", acquire: made.ID }), true);
  await consul.session.destroy(made.ID);
  assert.strictEqual(await consul.kv.get("lock"), undefined);
  await assert.rejects(consul.session.renew(made.ID), /not found/);
}

async function transactions() {
  const value = Buffer.from("v").toString("base64");
  const done = await consul.transaction.create([
    { KV: { Verb: "set", Key: "t/a", Value: value } },
    { KV: { Verb: "get", Key: "t/a" } },
  ]);
  assert.strictEqual(done.Results.length, 2);
  assert.strictEqual(done.Results[1].KV.Value, value);
  await assert.rejects(
    consul.transaction.create([{ KV: { Verb: "cas", Key: "t/a", Index: 1, Value: value } }]),
    (e) => e.statusCode === 409,
  );
}

function watch() {
  return new Promise((resolve, reject) => {
    const seen = [];
    const w = consul.watch({
      method: consul.kv.get,
      options: { key: "w", wait: "10s" },
      backoffFactor: 100,
    });
    const late = setTimeout(() => reject(new Error("saw only " + JSON.stringify(seen))), 20000);
    w.on("change", (entry) => {
      seen.push(entry.Value);
      if (entry.Value === "3") {
        clearTimeout(late);
        w.end();
        resolve();
      } else {
        consul.kv.set("w", String(Number(entry.Value) + 1));
      }
    });
    w.on("error", () => {}); // it tries again
    consul.kv.set("w", "1");
  });
}

(async () => {
  await keys();
  await sessions();
  await transactions();
  await watch();
  console.log("fine");
  process.exit(0);
})().catch((e) => {
  console.error(e);
  process.exit(1);
});
