// The whole public API of @azure/digital-twins-core against a stub, as its users write it.
// node adt.js ADDRESS, with NODE_PATH at the SDK and NODE_EXTRA_CA_CERTS at the stub's certificate.
"use strict";
const assert = require("node:assert/strict");
const { DigitalTwinsClient } = require("@azure/digital-twins-core");

const CONTEXT = "dtmi:dtdl:context;2";
const [PART, ROOM, FLOOR] = ["dtmi:js:Part;1", "dtmi:js:Room;1", "dtmi:js:Floor;1"];
const property = (name, schema) => ({ "@type": "Property", name, schema });
const model = (id, ...contents) => ({
  "@id": id, "@type": "Interface", "@context": CONTEXT, displayName: id, contents,
});
const MODELS = [
  model(PART, property("mode", "string"), { "@type": "Telemetry", name: "rpm", schema: "integer" }),
  model(ROOM, property("temperature", "double"), { "@type": "Component", name: "fan", schema: PART }),
  model(FLOOR, {
    "@type": "Relationship", name: "has", target: ROOM, properties: [property("lock", "boolean")],
  }),
];

const token = { token: "any", expiresOnTimestamp: Date.now() + 3_600_000 };
const credential = { getToken: async () => token };
const client = new DigitalTwinsClient(process.argv[2], credential);

async function all(items) {
  const found = [];
  for await (const item of items) found.push(item);
  return found;
}

async function sizes(pages) {
  return (await all(pages)).map((page) => (page.value ?? page).length);
}

async function refused(work, statusCode, code) {
  await assert.rejects(work, (error) => {
    assert.deepEqual([error.statusCode, error.code], [statusCode, code], error.message);
    return true;
  });
}

const room = (more = {}) =>
  JSON.stringify({ $metadata: { $model: ROOM }, fan: { $metadata: {} }, ...more });
const replace = (path, value) => [{ op: "replace", path, value }];

const scenarios = {
  async models() {
    assert.equal((await client.createModels(MODELS)).length, 3);
    await refused(client.createModels(MODELS), 409, "ModelIdAlreadyExists");
    assert.deepEqual((await client.getModel(ROOM, true)).model, MODELS[1]);
    assert.equal((await client.getModel(ROOM)).model, undefined);
    await refused(client.getModel("foo"), 400, "InvalidArgument");
    await refused(client.getModel("dtmi:js:None;1"), 404, "ModelNotFound");
    assert.equal((await all(client.listModels())).length, 3);
    const needed = await all(client.listModels([ROOM], true));
    assert.deepEqual(needed.map((found) => found.id), [PART, ROOM]);
  },
  async twins() {
    await client.upsertDigitalTwin("r", room({ temperature: 80, fan: { mode: "a" } }));
    const first = (await client.getDigitalTwin("r")).etag;
    await refused(
      client.upsertDigitalTwin("r", room(), { ifNoneMatch: "*" }), 412, "PreconditionFailed");
    await refused(
      client.upsertDigitalTwin("r", room(), { ifNoneMatch: "XXX" }), 400, "InvalidArgument");
    await client.updateDigitalTwin("r", replace("/temperature", 42), { ifMatch: first });
    await refused(
      client.updateDigitalTwin("r", replace("/temperature", 1), { ifMatch: first }),
      412, "PreconditionFailed");
    await refused(
      client.updateDigitalTwin("r", replace("/temperature", 1), { ifMatch: "XXX" }),
      400, "InvalidArgument");
    await refused(client.updateDigitalTwin("r", [{ op: "move", path: "/x" }]), 400, "JsonPatchInvalid");
    await refused(client.upsertDigitalTwin("x", room({ nothing: 1 })), 400, "ValidationFailed");
    await refused(client.getDigitalTwin("none"), 404, "DigitalTwinNotFound");
    assert.equal((await client.getDigitalTwin("r")).body.temperature, 42);
  },
  async components() {
    await client.updateComponent("r", "fan", replace("/mode", "b"));
    assert.equal((await client.getComponent("r", "fan")).body.mode, "b");
    await refused(client.getComponent("r", "none"), 404, "ComponentNotFound");
    await refused(client.updateComponent("r", "none", replace("/mode", "c")), 400, "JsonPatchInvalid");
  },
  async relationships() {
    await client.upsertDigitalTwin("f", JSON.stringify({ $metadata: { $model: FLOOR } }));
    const edge = (target) => ({ $relationshipName: "has", $targetId: target, lock: true });
    await client.upsertRelationship("f", "r", edge("r"));
    await refused(
      client.upsertRelationship("f", "r", edge("r"), { ifNoneMatch: "*" }), 412, "PreconditionFailed");
    await refused(client.upsertRelationship("f", "x", edge("no")), 404, "TargetDigitalTwinNotFound");
    await refused(
      client.upsertRelationship("f", "x", { $targetId: "r" }), 400, "InvalidArgument");
    await client.updateRelationship("f", "r", replace("/lock", false));
    assert.equal((await client.getRelationship("f", "r")).body.lock, false);
    const [incoming] = await all(client.listIncomingRelationships("r"));
    assert.match(incoming.relationshipLink, /^\/digitaltwins\/f\/relationships\/r\?api-version=/);
    for (let number = 0; number < 22; number++) {
      await client.upsertDigitalTwin(`r ${number}/x`, room());
      await client.upsertRelationship("f", `e ${number}/x`, edge(`r ${number}/x`));
    }
    assert.deepEqual(await sizes(client.listRelationships("f").byPage()), [10, 10, 3]);
    await refused(client.deleteDigitalTwin("r"), 400, "RelationshipsNotDeleted");
  },
  async queries() {
    const pages = client.queryTwins("SELECT * FROM digitaltwins", 10).byPage();
    assert.deepEqual(await sizes(pages), [10, 10, 4]);
    await refused(all(client.queryTwins("foo")), 400, "SqlQueryError");
  },
  async telemetry() {
    // Version 1.0.3 swaps payload and message id, 1.1.0 does so of components: both must be texts.
    await client.publishTelemetry("r", '{"temperature": 1}', "1");
    await client.publishTelemetry("r", '{"temperature": 1}');
    await client.publishComponentTelemetry("r", "fan", '{"rpm": 1}', "1");
    await client.publishComponentTelemetry("r", "fan", '{"rpm": 1}');
    await refused(client.publishTelemetry("none", "{}"), 404, "DigitalTwinNotFound");
    await refused(client.publishComponentTelemetry("r", "none", "{}"), 404, "ComponentNotFound");
  },
  async eventRoutes() {
    const filter = "$eventType = 'DigitalTwinTelemetryMessages' or type = 'x'";
    await client.upsertEventRoute("a", "telemetry", filter);
    assert.deepEqual((await client.getEventRoute("a")).filter, filter);
    await refused(client.upsertEventRoute("b", "none", "true"), 400, "EventRouteEndpointInvalid");
    await refused(client.upsertEventRoute("b", "telemetry", "no"), 400, "EventRouteFilterInvalid");
    assert.equal((await all(client.listEventRoutes())).length, 1);
    await client.deleteEventRoute("a");
    await refused(client.getEventRoute("a"), 404, "EventRouteNotFound");
  },
  async theEnd() {
    await client.decomissionModel(ROOM);
    await refused(client.upsertDigitalTwin("new", room()), 400, "ModelDecommissioned");
    await refused(client.deleteModel(PART), 409, "ModelReferencesNotDeleted");
    for (const edge of await all(client.listRelationships("f")))
      await client.deleteRelationship("f", edge.$relationshipId);
    for (const twin of await all(client.queryTwins("SELECT * FROM digitaltwins")))
      await client.deleteDigitalTwin(twin.$dtId);
    for (const id of [FLOOR, ROOM, PART]) await client.deleteModel(id);
    await refused(client.deleteModel(PART), 404, "ModelNotFound");
  },
};

require("./run.js")(scenarios);
