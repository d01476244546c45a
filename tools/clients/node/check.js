// What the official Node client does with the server: follow, read, append, delete.
//
// Run by tools/clients/run with the server's address, a certificate's file (empty means without TLS, and then nothing is
// appended: half of this client drops its credentials) and the number of events of the engine. Ends at the first surprise.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import {
  ANY, BACKWARDS, END, FORWARDS, KurrentDBClient, NO_STREAM, START, AccessDeniedError, StreamDeletedError,
  StreamNotFoundError, WrongExpectedVersionError, jsonEvent, streamNameFilter,
} from "@kurrent/kurrentdb-client";

const [address, certificate, engine] = process.argv.slice(2);
const tls = certificate ? `tls=true&tlsCaFile=${certificate}` : "tls=false";
const client = KurrentDBClient.connectionString(`kurrentdb://${certificate ? "ann:changeit@" : ""}${address}?${tls}`);
const event = (type) => jsonEvent({ id: randomUUID(), type, data: { type }, metadata: { $correlationId: "c" } });
const notes = () => `notes-${randomUUID()}`;

async function all(read) {
  const found = [];
  for await (const { event, link } of read) found.push({ event, link });
  return found;
}

async function rejects(promise, kind) {
  await assert.rejects(promise, (error) => error instanceof kind || assert.fail(`${error.constructor.name}: ${error}`));
}

async function readsTheEngine() {
  const events = await all(client.readAll({ direction: FORWARDS, fromPosition: START }));
  assert(events.length >= Number(engine));
  assert(events[0].event.data.note.startsWith("number "));
  assert.equal(events[0].event.metadata.actor, "scheduler");
  const last = await all(client.readStream("chain-1", { direction: BACKWARDS, fromRevision: END, maxCount: 1 }));
  assert(last[0].event.revision > 0n);
  await rejects(all(client.readStream("nothing-here")), StreamNotFoundError);
  const links = await all(client.readStream("$ce-chain", { resolveLinkTos: true, maxCount: 3 }));
  assert.deepEqual(links.map(({ link }) => link.revision), [0n, 1n, 2n]);
}

async function followsTheEngine() {
  const subscription = client.subscribeToAll({ fromPosition: START, filter: streamNameFilter({ prefixes: ["chain-"], checkpointInterval: 1 }) });
  let caughtUp = false, count = 0, checkpoints = 0;
  subscription.on("caughtUp", () => (caughtUp = true));
  for await (const { event } of subscription) {
    assert(event.streamId.startsWith("chain-"));
    count += 1;
    // One more comes each second.
    if (caughtUp && count > Number(engine)) break;
  }
}

async function mayNotWriteToTheEngine() {
  await rejects(client.appendToStream("chain-1", [event("A")]), AccessDeniedError);
  await rejects(client.deleteStream("chain-1"), AccessDeniedError);
  await rejects(client.setStreamMetadata("chain-1", { maxCount: 1 }), AccessDeniedError);
}

async function appends() {
  const name = notes();
  const events = [event("A"), event("B")];
  const first = await client.appendToStream(name, events, { streamState: NO_STREAM });
  assert.equal(first.nextExpectedRevision, 1n);
  const again = await client.appendToStream(name, events, { streamState: NO_STREAM });
  assert.equal(again.position.commit, first.position.commit);
  await rejects(client.appendToStream(name, [event("C")], { streamState: 7n }), WrongExpectedVersionError);
  const withCredentials = { credentials: { username: "ann", password: "changeit" } };
  await client.appendToStream(name, [event("D")], { streamState: 1n, ...withCredentials });
  await rejects(client.appendToStream(name, [event("E")], { streamState: 1n, ...withCredentials }), WrongExpectedVersionError);
  const read = await all(client.readStream(name));
  assert.deepEqual(read.map(({ event }) => event.type), ["A", "B", "D"]);
  await client.setStreamMetadata(name, { maxCount: 1 });
  assert.equal((await client.getStreamMetadata(name)).metadata.maxCount, 1);
  assert.equal((await all(client.readStream(name))).length, 1);
}

async function deletes() {
  const name = notes();
  await rejects(client.deleteStream(name), WrongExpectedVersionError);
  await client.appendToStream(name, [event("A")]);
  await client.deleteStream(name);
  await rejects(all(client.readStream(name)), StreamNotFoundError);
  await client.appendToStream(name, [event("B")], { streamState: NO_STREAM });
  await client.tombstoneStream(name, { streamState: ANY });
  await rejects(all(client.readStream(name)), StreamDeletedError);
  await rejects(client.appendToStream(name, [event("C")]), StreamDeletedError);
}

async function appendsToSeveralStreams() {
  const [a, b] = [notes(), notes()];
  const append = (state) => client.multiStreamAppend([a, b].map((streamName) => ({ streamName, events: [event("A")], expectedState: state })));
  await append(NO_STREAM);
  assert.equal((await all(client.readStream(a))).length, 1);
  await rejects(append(7n), Error);
}

await readsTheEngine();
await followsTheEngine();
await mayNotWriteToTheEngine();
if (certificate) {
  await appends();
  await deletes();
  await appendsToSeveralStreams();
}
await client.dispose();
console.log(`ok: node, @kurrent/kurrentdb-client ${certificate ? "with" : "without"} TLS`);
process.exit(0);
