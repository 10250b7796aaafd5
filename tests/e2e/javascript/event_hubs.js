// What the users of @azure/event-hubs do, against a stub.
// node event_hubs.js CONNECTION_STRING [ws], with NODE_PATH at the SDK (and ws) and, for WebSockets,
// which the SDK only speaks over TLS, NODE_EXTRA_CA_CERTS at the stub's certificate.
"use strict";
const assert = require("node:assert/strict");
const hubs = require("@azure/event-hubs");

const [, , ADDRESS, WAY] = process.argv;
const HUB = "telemetry";
const START_MAX_MS = 20_000;
const options = { retryOptions: { maxRetries: 0 } };
if (WAY === "ws") options.webSocketOptions = { webSocket: require("ws") };

async function producing(work, hub = HUB) {
  const producer = new hubs.EventHubProducerClient(ADDRESS, hub, options);
  try {
    return await work(producer);
  } finally {
    await producer.close();
  }
}

const lastOf = (partition) => producing(
  async (producer) => (await producer.getPartitionProperties(partition)).lastEnqueuedSequenceNumber,
);
const send = (events, where) => producing((producer) => producer.sendBatch(events, where));

async function received(count, partition, startPosition) {
  const consumer = new hubs.EventHubConsumerClient("$Default", ADDRESS, HUB, options);
  const events = [];
  try {
    await new Promise((resolve, reject) => {
      const late = () => reject(new Error(`${events.length} of ${count} events`));
      const timer = setTimeout(late, START_MAX_MS);
      consumer.subscribe(partition, {
        processEvents: async (batch) => {
          events.push(...batch);
          if (events.length >= count) { clearTimeout(timer); resolve(); }
        },
        processError: async (error) => { clearTimeout(timer); reject(error); },
      }, { startPosition, maxWaitTimeInSeconds: 1 });
    });
  } finally {
    await consumer.close();
  }
  return events;
}

async function refused(work, code, words) {
  await assert.rejects(work, (error) => {
    assert.deepEqual([error.code, words.test(error.message)], [code, true], error.message);
    return true;
  });
}

const scenarios = {
  async properties() {
    const hub = await producing((producer) => producer.getEventHubProperties());
    assert.deepEqual([hub.name, hub.partitionIds], [HUB, ["0", "1", "2", "3"]]);
    assert.equal(await lastOf("3"), -1);
  },
  async bodies() {
    const bodies = [{ a: 1 }, "text", null, [1, "x"], 12.5, Buffer.from([1, 2])];
    await send(bodies.map((body) => ({ body })), { partitionId: "0" });
    const applicationProperties = { n: 7, s: "ž" };
    const value = { body: { k: [1, null] }, bodyType: "value", applicationProperties };
    await send([value], { partitionId: "0" });
    const events = await received(7, "0", hubs.earliestEventPosition);
    assert.deepEqual(events.map((event) => event.body), [...bodies, value.body]);
    assert.deepEqual(events[6].properties, applicationProperties);
  },
  async positions() {
    await send([0, 1, 2, 3, 4].map((body) => ({ body })), { partitionId: "1" });
    const events = await received(5, "1", hubs.earliestEventPosition);
    const { offset, sequenceNumber } = events[2];
    const from = async (count, position) =>
      (await received(count, "1", position)).map((event) => event.body).join("");
    assert.equal(await from(2, { offset }), "34");
    assert.equal(await from(3, { offset, isInclusive: true }), "234");
    assert.equal(await from(3, { sequenceNumber, isInclusive: true }), "234");
    assert.equal(await from(5, { enqueuedOn: new Date(events[0].enqueuedTimeUtc - 1) }), "01234");
  },
  async refusals() {
    const large = [{ body: "x".repeat(1_300_000) }];
    await refused(send(large), "MessageTooLargeError", /The received message \(delivery-id:\d+, /);
    await refused(send([{ body: 1 }], { partitionId: "9" }), "ArgumentOutOfRangeError", /invalid/);
    await refused(lastOf("9"), "ArgumentOutOfRangeError", /The specified partition is invalid/);
    const nowhere = producing((producer) => producer.sendBatch([{ body: 1 }]), "nowhere");
    await refused(nowhere, "MessagingEntityNotFoundError", /could not be found/);
    await refused(received(1, "1", { offset: "999999" }), "ArgumentError", /The supplied offset/);
  },
  async owners() {
    const seen = [];
    const clients = [1, 2].map(
      () => new hubs.EventHubConsumerClient("$Default", ADDRESS, HUB, options),
    );
    for (const [number, client] of clients.entries()) {
      const processError = async (error) => seen.push([number, error.code, error.message]);
      const handlers = { processEvents: async () => {}, processError };
      client.subscribe("2", handlers, { ownerLevel: number, startPosition: hubs.latestEventPosition });
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
    for (const client of clients) await client.close();
    const [[loser, code, text], ...more] = seen;
    assert.deepEqual([loser, code, more], [0, "ReceiverDisconnectedError", []]);
    assert.match(text, /New receiver .* with higher epoch of '1' is created hence current receiver/);
  },
  async buffered() {
    const sent = [], failed = [];
    const producer = new hubs.EventHubBufferedProducerClient(ADDRESS, HUB, {
      ...options,
      onSendEventsSuccessHandler: async ({ events }) => sent.push(...events),
      onSendEventsErrorHandler: async ({ error }) => failed.push(error),
    });
    for (let n = 0; n < 200; n += 1)
      await producer.enqueueEvent({ body: n }, n % 2 ? { partitionKey: `k${n % 7}` } : {});
    await producer.close();
    assert.deepEqual([sent.length, failed], [200, []]);
  },
};

require("./run.js")(scenarios);
