// What the official Node client does with the server: follow, read, append, delete, consume in a group.
//
// Run by tools/clients/run with the server's address, a certificate's file (empty means without TLS, and then nothing is
// appended: half of this client drops its credentials), the number of events of the engine, and a program that ends the
// server and starts it again. Ends at the first surprise.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import {
  ANY, BACKWARDS, END, FORWARDS, KurrentDBClient, NO_STREAM, START, STREAM_EXISTS, AccessDeniedError,
  PersistentSubscriptionDoesNotExistError, PersistentSubscriptionExistsError, StreamDeletedError, StreamNotFoundError,
  WrongExpectedVersionError, eventTypeFilter, excludeSystemEvents, jsonEvent,
  persistentSubscriptionToStreamSettingsFromDefaults, streamNameFilter,
} from "@kurrent/kurrentdb-client";

const [address, certificate, engine, restart] = process.argv.slice(2);
const tls = certificate ? `tls=true&tlsCaFile=${certificate}` : "tls=false";
const client = KurrentDBClient.connectionString(`kurrentdb://${certificate ? "ann:changeit@" : ""}${address}?${tls}`);
// What this client waits for between two tries to connect does not keep a process alive.
setInterval(() => undefined, 1000);
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

const positions = (events) => events.map(({ event }) => event.position.commit);

async function readsTheEngine() {
  const events = await all(client.readAll({ direction: FORWARDS, fromPosition: START }));
  assert(events.length >= Number(engine));
  const found = positions(events);
  assert(found.every((position, n) => n === 0 || found[n - 1] < position));
  const first = events.find(({ event }) => event.streamId.startsWith("chain-")).event;
  assert.equal(typeof first.data, "object");
  assert.equal(first.metadata.actor, "scheduler");
  await rejects(all(client.readStream("nothing-here")), StreamNotFoundError);
  for (const name of ["$ce-span", "$streams", `$et-${first.type}`]) {
    const links = await all(client.readStream(name, { resolveLinkTos: true, maxCount: 3 }));
    assert.deepEqual(links.map(({ link }) => link.revision), links.map((_, n) => BigInt(n)));
    assert(links.length > 0 && links.every(({ event }) => event));
  }
}

async function readsBackwards() {
  const events = await all(client.readAll({ maxCount: 50 }));
  // Forwards a position is included, backwards it is not.
  const fromPosition = events[20].event.position;
  const forwards = await all(client.readAll({ fromPosition, maxCount: 3 }));
  assert.deepEqual(positions(forwards), positions(events.slice(20, 23)));
  const backwards = await all(client.readAll({ direction: BACKWARDS, fromPosition }));
  assert.deepEqual(positions(backwards), positions(events.slice(0, 20).reverse()));
  const back = await all(client.readStream("chain-10", { direction: BACKWARDS, fromRevision: 3n }));
  assert.deepEqual(back.map(({ event }) => event.revision), [3n, 2n, 1n, 0n]);
  const last = await all(client.readStream("chain-10", { direction: BACKWARDS, fromRevision: END, maxCount: 1 }));
  assert(last[0].event.revision > 3n);
}

async function readsWhatAFilterLetsThrough() {
  const events = await all(client.readAll({ direction: FORWARDS, fromPosition: START }));
  const through = events.at(-1).event.position.commit;
  const some = events[Math.floor(events.length / 2)].event.type;
  for (const [filter, wanted] of [
    [streamNameFilter({ prefixes: ["chain-", "agg-"] }), ({ streamId }) => /^(chain|agg)-/.test(streamId)],
    [streamNameFilter({ regex: "^span-[0-9]+-1$" }), ({ streamId }) => /^span-[0-9]+-1$/.test(streamId)],
    [eventTypeFilter({ prefixes: [some] }), ({ type }) => type.startsWith(some)],
    [excludeSystemEvents(), ({ type }) => !type.startsWith("$")],
  ]) {
    const found = positions(await all(client.readAll({ filter }))).filter((position) => position <= through);
    assert.deepEqual(found, positions(events.filter(({ event }) => wanted(event))));
    assert(found.length > 0);
  }
}

// Across the boundary: what is there, that it is all, and what the engine does then.
async function followsTheEngine() {
  const filter = streamNameFilter({ prefixes: ["chain-", "span-", "agg-"], checkpointInterval: 1 });
  const subscription = client.subscribeToAll({ fromPosition: START, filter });
  let caughtUp = 0;
  const seen = [];
  subscription.on("caughtUp", () => (caughtUp ||= seen.length));
  for await (const { event } of subscription) {
    seen.push({ event });
    if (caughtUp && seen.length > caughtUp + 5) break;
  }
  const whole = await all(client.readAll({ filter, maxCount: seen.length }));
  assert.deepEqual(positions(seen), positions(whole));
}

// The client outlives the server; a subscription goes on after the last event that it saw.
async function comesBack() {
  const seen = [];
  const follow = async (fromPosition, count) => {
    for await (const { event } of client.subscribeToAll({ fromPosition })) {
      seen.push({ event });
      if (--count === 0) break;
    }
  };
  await follow(START, 10);
  const subscription = client.subscribeToAll({ fromPosition: END });
  await new Promise((resolve) => subscription.once("confirmation", resolve));
  const dropped = new Promise((resolve) => subscription.once("error", resolve));
  execFileSync(restart);
  subscription.resume();
  await dropped;
  for (let tries = 0; ; tries += 1) {
    try {
      await follow(seen.at(-1).event.position, 20 - seen.length);
      break;
    } catch (error) {
      if (tries > 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  assert.deepEqual(positions(seen), positions(await all(client.readAll({ maxCount: 20 }))));
  if (certificate) await client.appendToStream(notes(), [event("A")], { streamState: NO_STREAM });
}

async function knowsAWrongPassword() {
  const wrong = KurrentDBClient.connectionString(`kurrentdb://ann:wrong@${address}?${tls}`);
  await rejects(all(wrong.readAll({ maxCount: 1 })), AccessDeniedError);
  await rejects(wrong.appendToStream(notes(), [event("A")]), AccessDeniedError);
  await wrong.dispose();
}

async function mayNotWriteToTheEngine() {
  await rejects(client.appendToStream("chain-10", [event("A")]), AccessDeniedError);
  await rejects(client.deleteStream("chain-10"), AccessDeniedError);
  await rejects(client.setStreamMetadata("chain-10", { maxCount: 1 }), AccessDeniedError);
}

async function appends() {
  const name = notes();
  const events = [event("A"), event("B")];
  const first = await client.appendToStream(name, events, { streamState: NO_STREAM });
  assert.equal(first.nextExpectedRevision, 1n);
  const again = await client.appendToStream(name, events, { streamState: NO_STREAM });
  assert.equal(again.position.commit, first.position.commit);
  for (const streamState of [0n, 7n, NO_STREAM]) {
    await rejects(client.appendToStream(name, [event("C")], { streamState }), WrongExpectedVersionError);
  }
  await rejects(client.appendToStream(notes(), [event("C")], { streamState: STREAM_EXISTS }), WrongExpectedVersionError);
  const withCredentials = { credentials: { username: "ann", password: "changeit" } };
  await client.appendToStream(name, [event("D")], { streamState: 1n, ...withCredentials });
  await rejects(client.appendToStream(name, [event("E")], { streamState: 1n, ...withCredentials }), WrongExpectedVersionError);
  const read = await all(client.readStream(name));
  assert.deepEqual(read.map(({ event }) => event.type), ["A", "B", "D"]);
  for (const [streamState, revision] of [[ANY, 3n], [STREAM_EXISTS, 4n], [4n, 5n]]) {
    assert.equal((await client.appendToStream(name, [event("F")], { streamState })).nextExpectedRevision, revision);
  }
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

// A consumer of a group: what it does not handle is given again, parked, and replayed; the server ends in between.
async function consumesInAGroup() {
  const admin = KurrentDBClient.connectionString(`kurrentdb://admin:changeit@${address}?${tls}`);
  const [name, group] = [notes(), "node"];
  const settings = persistentSubscriptionToStreamSettingsFromDefaults({ startFrom: START, maxRetryCount: 1 });
  await rejects(client.createPersistentSubscriptionToStream(name, group, settings), AccessDeniedError);
  await admin.createPersistentSubscriptionToStream(name, group, settings);
  await rejects(admin.createPersistentSubscriptionToStream(name, group, settings), PersistentSubscriptionExistsError);
  const types = Array.from({ length: 12 }, (_, n) => `Kind${n}`);
  await client.appendToStream(name, types.map(event));
  // What was handled when the call was cancelled may come again.
  const seen = new Set();
  const consume = async (until, handle) => {
    for (let tries = 0; seen.size < until; tries += 1) {
      const consumer = client.subscribeToPersistentSubscriptionToStream(name, group, { bufferSize: 4 });
      try {
        for await (const given of consumer) {
          await handle(consumer, given);
          if (seen.size >= until) break;
        }
      } catch (error) {
        if (tries > 100) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      } finally {
        // Leaving the loop is not enough: the call stays open.
        await consumer.unsubscribe().catch(() => undefined);
      }
    }
  };
  const acked = async (consumer, given) => {
    await consumer.ack(given);
    seen.add(given.event.type);
  };
  await consume(5, async (consumer, given) => {
    if (given.event.type === "Kind1") return consumer.nack("park", "not this one", given);
    if (given.event.type === "Kind2" && given.retryCount === 0) return consumer.nack("retry", "later", given);
    return acked(consumer, given);
  });
  execFileSync(restart);
  await consume(11, acked);
  const info = await admin.getPersistentSubscriptionToStreamInfo(name, group);
  assert.equal(info.stats.parkedMessageCount, 1n);
  assert.equal(info.settings.maxRetryCount, 1);
  await admin.replayParkedMessagesToStream(name, group);
  await consume(12, acked);
  assert.deepEqual([...seen].sort(), [...types].sort());
  assert((await admin.listPersistentSubscriptionsToStream(name)).length === 1);
  await admin.updatePersistentSubscriptionToStream(name, group, { ...settings, maxRetryCount: 7 });
  assert.equal((await admin.getPersistentSubscriptionToStreamInfo(name, group)).settings.maxRetryCount, 7);
  await admin.deletePersistentSubscriptionToStream(name, group);
  const gone = admin.getPersistentSubscriptionToStreamInfo(name, group);
  await rejects(gone, PersistentSubscriptionDoesNotExistError);
  assert.equal((await admin.listAllPersistentSubscriptions()).length, 0);
  await admin.dispose();
}

await readsTheEngine();
await readsBackwards();
await readsWhatAFilterLetsThrough();
await followsTheEngine();
await mayNotWriteToTheEngine();
if (certificate) {
  await knowsAWrongPassword();
  await appends();
  await deletes();
  await appendsToSeveralStreams();
  await consumesInAGroup();
}
await comesBack();
await client.dispose();
console.log(`ok: node, @kurrent/kurrentdb-client ${certificate ? "with" : "without"} TLS`);
process.exit(0);
