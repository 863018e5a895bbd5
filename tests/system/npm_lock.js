// Two locks of the npm client `consul` (the last version that had them) on one key at PORT: the
// second gets it when the first lets go.
const assert = require("assert");
const consul = require("consul-old")({ host: "127.0.0.1", port: process.env.PORT });

const order = [];
const first = consul.lock({ key: "npm/lock", session: { ttl: "15s", lockdelay: "0s" } });
const second = consul.lock({
  key: "npm/lock",
  session: { ttl: "15s", lockdelay: "0s" },
  lockretrytime: "100ms",
  lockwaittime: "5s",
});

function fail(e) {
  console.error(order, e);
  process.exit(1);
}
setTimeout(() => fail("too slow"), 60000);
first.on("error", fail);
second.on("error", fail);
first.on("acquire", () => {
  order.push("first");
  second.acquire();
});
second.on("retry", () => {
  order.push("retry");
  first.release();
});
second.on("acquire", () => {
  order.push("second");
  second.release();
});
second.on("end", () => {
  assert.strictEqual(order[0], "first");
  assert.strictEqual(order[order.length - 1], "second");
  console.log("fine");
  process.exit(0);
});
first.acquire();
