"""What the official Python client does with the server: follow, read, append, delete, consume in a group.

Run by tools/clients/run, which starts the server and gives its address, the number of events of the engine, and a
program that ends the server and starts it again. The certificate's file means TLS, and only then is anything written,
because without TLS the client sends no credentials. Ends with an error at the first surprise.
"""

import json
import subprocess
import sys
import threading
import time
import uuid

import kurrentdbclient as kdb
from kurrentdbclient import exceptions

address, certificate, engine_events, restart = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
user = "ann:changeit@" if certificate else ""
client = kdb.KurrentDBClient(
    uri=f"kurrentdb://{user}{address}?tls={'true' if certificate else 'false'}",
    root_certificates=open(certificate, "rb").read() if certificate else None,
)


def raises(error, call):
    try:
        call()
    except error as seen:
        return seen
    raise AssertionError(f"no {error.__name__}")


def event(kind="Noted", content_type="application/json", data=b"{}"):
    return kdb.NewEvent(type=kind, data=data, content_type=content_type, metadata=b'{"$correlationId": "c"}')


def reads_the_engine():
    events = list(client.read_all())
    assert len(events) >= engine_events, len(events)
    assert [e.commit_position for e in events] == sorted({e.commit_position for e in events})
    first = next(e for e in events if e.stream_name.startswith("chain-"))
    assert first.commit_position > 0 and first.content_type == "application/json"
    assert isinstance(json.loads(first.data), dict), first.data
    assert json.loads(first.metadata)["actor"] == "scheduler"
    assert first.recorded_at.year >= 2024
    whole = client.get_stream(first.stream_name)
    assert [e.stream_position for e in whole] == list(range(len(whole)))
    raises(exceptions.NotFoundError, lambda: client.get_stream("nothing-here"))
    for name in ("$ce-span", "$streams", f"$et-{events[0].type}"):
        links = client.get_stream(name, resolve_links=True, limit=3)
        assert [e.link.stream_position for e in links] == list(range(len(links))) and links, name
    assert client.get_commit_position() >= events[-1].commit_position


def reads_backwards():
    events = list(client.read_all(limit=50))
    # Forwards a position is included, backwards it is not.
    at = events[20].commit_position
    assert [e.id for e in client.read_all(commit_position=at, limit=3)] == [e.id for e in events[20:23]]
    backwards = client.read_all(commit_position=at, backwards=True)
    assert [e.id for e in backwards] == [e.id for e in reversed(events[:20])]
    name = next(e for e in events if e.stream_name.startswith("chain-")).stream_name
    whole = client.get_stream(name, limit=4)
    assert client.get_stream(name, backwards=True, stream_position=3) == tuple(reversed(whole))
    tail = client.get_stream(name, backwards=True, limit=1)
    assert tail[0].stream_position >= whole[-1].stream_position


def reads_what_a_filter_lets_through():
    events = list(client.read_all())
    some = events[len(events) // 2].type
    through = events[-1].commit_position
    for options, wanted in (
        (dict(filter_include=["chain-", "agg-"], filter_by_stream_name=True, filter_by_prefix=True),
         lambda e: e.stream_name.startswith(("chain-", "agg-"))),
        (dict(filter_include=[r"span-\d+-1"], filter_by_stream_name=True),
         lambda e: e.stream_name.startswith("span-") and e.stream_name.endswith("-1")),
        (dict(filter_include=[some]), lambda e: e.type == some),
        (dict(filter_exclude=[some]), lambda e: e.type != some),
    ):
        found = [e.id for e in client.read_all(**options) if e.commit_position <= through]
        # What is excluded besides, the client's default leaves out too.
        expected = [e.id for e in events if wanted(e)]
        if "filter_exclude" in options:
            found = [e for e in found if e in {e.id for e in events}]
        assert found == expected and found, options


def follows_the_engine():
    """Across the boundary: what is there, that it is all, and what the engine does then."""
    seen, live = [], None
    with client.subscribe_to_all(include_checkpoints=True, include_caught_up=True) as subscription:
        for item in subscription:
            if isinstance(item, kdb.CaughtUp):
                assert len(seen) >= engine_events
                live = live or len(seen)
            elif not isinstance(item, kdb.Checkpoint):
                seen.append(item.id)
            if live and len(seen) >= live + 5:
                break
    assert seen == [e.id for e in client.read_all(limit=len(seen))]
    with client.subscribe_to_stream("chain-10") as subscription:
        assert next(subscription).stream_position == 0


def consumes_in_a_group():
    """Two consumers share a stream; what is not handled is given again, parked, and replayed."""
    admin = kdb.KurrentDBClient(
        uri=f"kurrentdb://admin:changeit@{address}?tls=true", root_certificates=open(certificate, "rb").read()
    )
    name, group = f"notes-{uuid.uuid4()}", "python"
    refused = lambda: client.create_subscription_to_stream(group, name)
    assert isinstance(raises(exceptions.KurrentDBClientError, refused), exceptions.AccessDeniedError)
    admin.create_subscription_to_stream(group, name, consumer_strategy="RoundRobin", max_retry_count=2)
    raises(exceptions.AlreadyExistsError, lambda: admin.create_subscription_to_stream(group, name))
    wanted = [event(f"Kind{n}") for n in range(40)]
    client.append_to_stream(name, current_version=kdb.StreamState.NO_STREAM, events=wanted[:20])
    seen, done = [], threading.Event()

    def consume():
        with client.read_subscription_to_stream(group, name, event_buffer_size=5) as consumer:
            for item in consumer:
                if item.type == "Kind7" and item.retry_count == 0:
                    consumer.nack(item, "retry")
                elif item.type == "Kind9" and item.link is None:
                    consumer.nack(item, "park")
                else:
                    consumer.ack(item)
                    seen.append(item.id)
                if len(seen) == len(wanted) or done.is_set():
                    done.set()
                    return

    threads = [threading.Thread(target=consume, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    client.append_to_stream(name, current_version=19, events=wanted[20:])
    for _ in range(600):
        info = admin.get_subscription_info(group, name)
        if info.parked_message_count == 1 and len(seen) == len(wanted) - 1:
            break
        time.sleep(0.05)
    assert info.parked_message_count == 1 and len(seen) == len(wanted) - 1, (info, len(seen))
    assert len(info.connections) == 2 and all(c.total_items for c in info.connections), info.connections
    admin.replay_parked_events(group, name)
    assert done.wait(30), len(seen)
    assert sorted(seen) == sorted(e.id for e in wanted)
    assert [s.group_name for s in admin.list_subscriptions_to_stream(name)] == [group]
    admin.update_subscription_to_stream(group, name, max_retry_count=5)
    assert admin.get_subscription_info(group, name).max_retry_count == 5
    admin.delete_subscription(group, name)
    raises(exceptions.NotFoundError, lambda: admin.get_subscription_info(group, name))

    # The server ends in between; who comes back goes on with what was not handled.
    name = f"notes-{uuid.uuid4()}"
    admin.create_subscription_to_all(group, filter_include=[name], filter_by_stream_name=True)
    client.append_to_stream(name, current_version=kdb.StreamState.NO_STREAM, events=wanted[:10])
    with client.read_subscription_to_all(group) as consumer:
        seen = []
        for item in consumer:
            consumer.ack(item)
            seen.append(item.id)
            if len(seen) == 4:
                break
    subprocess.run([restart], check=True)
    for _ in range(100):
        try:
            with client.read_subscription_to_all(group) as consumer:
                for item in consumer:
                    consumer.ack(item)
                    seen.append(item.id)
                    if len(seen) == 10:
                        break
            break
        except exceptions.KurrentDBClientError:
            time.sleep(0.1)
    assert seen == [e.id for e in wanted[:10]], seen
    for _ in range(100):
        try:
            admin.delete_subscription(group)
            break
        except exceptions.ServiceUnavailableError:
            time.sleep(0.1)
    assert admin.list_subscriptions() == []
    admin.close()


def comes_back():
    """The client outlives the server; a subscription goes on after the last event that it saw."""
    with client.subscribe_to_all() as subscription:
        seen = [next(subscription) for _ in range(10)]
        subprocess.run([restart], check=True)
        raises(exceptions.KurrentDBClientError, lambda: list(subscription))
    for _ in range(100):
        try:
            with client.subscribe_to_all(commit_position=seen[-1].commit_position) as subscription:
                seen += [next(subscription) for _ in range(10)]
            break
        except exceptions.KurrentDBClientError:
            time.sleep(0.1)
    assert [e.id for e in seen] == [e.id for e in client.read_all(limit=20)]
    if certificate:
        name = f"notes-{uuid.uuid4()}"
        client.append_to_stream(name, current_version=kdb.StreamState.NO_STREAM, events=event())


def knows_a_wrong_password():
    wrong = kdb.KurrentDBClient(
        uri=f"kurrentdb://ann:wrong@{address}?tls=true",
        root_certificates=open(certificate, "rb").read(),
    )
    # What is not known by name comes as the bare error of the transport.
    error = raises(Exception, lambda: list(wrong.read_all(limit=1)))
    assert "UNAUTHENTICATED" in repr(error) or isinstance(error, exceptions.KurrentDBClientError), repr(error)
    wrong.close()


def may_not_write_to_the_engine():
    refused = exceptions.KurrentDBClientError
    error = raises(refused, lambda: client.append_to_stream("chain-10", current_version=kdb.StreamState.ANY, events=event()))
    assert isinstance(error, exceptions.AccessDeniedError), repr(error)
    raises(refused, lambda: client.append_to_stream("chain-10", current_version=kdb.StreamState.ANY, events=[event()]))
    raises(refused, lambda: client.delete_stream("chain-10", current_version=kdb.StreamState.ANY))
    raises(refused, lambda: client.set_stream_metadata("chain-10", metadata={"$tb": 5}))


def appends():
    name = f"notes-{uuid.uuid4()}"
    one, two, three = event(), event("Other"), event(content_type="application/octet-stream", data=b"\0\1")
    for wrong in (3, kdb.StreamState.EXISTS):
        raises(
            exceptions.WrongCurrentVersionError,
            lambda: client.append_to_stream(name, current_version=wrong, events=one),
        )
    at = client.append_to_stream(name, current_version=kdb.StreamState.NO_STREAM, events=one)
    assert client.append_to_stream(name, current_version=kdb.StreamState.NO_STREAM, events=one) == at
    at = client.append_to_stream(name, current_version=0, events=[two, three])
    assert client.append_to_stream(name, current_version=0, events=[two, three]) == at
    wrong = raises(
        exceptions.WrongCurrentVersionError,
        lambda: client.append_to_stream(name, current_version=1, events=[event()]),
    )
    assert "2" in str(wrong), wrong
    raises(
        exceptions.WrongCurrentVersionError,
        lambda: client.append_to_stream(name, current_version=kdb.StreamState.NO_STREAM, events=event()),
    )
    read = client.get_stream(name)
    assert [(e.id, e.type, e.data, e.metadata) for e in read] == [
        (e.id, e.type, e.data, e.metadata) for e in (one, two, three)
    ]
    assert read[-1].commit_position == at
    assert client.get_current_version(name) == 2
    client.set_stream_metadata(name, metadata={"$maxCount": 2, "mine": True})
    metadata, version = client.get_stream_metadata(name)
    assert metadata == {"$maxCount": 2, "mine": True} and version == 0
    assert [e.stream_position for e in client.get_stream(name)] == [1, 2]
    for expected, version in ((kdb.StreamState.ANY, 3), (kdb.StreamState.EXISTS, 4), (4, 5)):
        client.append_to_stream(name, current_version=expected, events=event())
        assert client.get_current_version(name) == version


def deletes():
    name = f"notes-{uuid.uuid4()}"
    client.append_to_stream(name, current_version=kdb.StreamState.NO_STREAM, events=event())
    client.delete_stream(name, current_version=0)
    raises(exceptions.NotFoundError, lambda: client.get_stream(name))
    client.append_to_stream(name, current_version=kdb.StreamState.NO_STREAM, events=event("Again"))
    assert [(e.stream_position, e.type) for e in client.get_stream(name)] == [(1, "Again")]
    client.tombstone_stream(name, current_version=kdb.StreamState.ANY)
    raises(exceptions.StreamIsDeletedError, lambda: client.get_stream(name))
    raises(
        exceptions.StreamIsDeletedError,
        lambda: client.append_to_stream(name, current_version=kdb.StreamState.ANY, events=[event()]),
    )


def appends_to_several_streams():
    a, b = f"notes-{uuid.uuid4()}", f"notes-{uuid.uuid4()}"
    client.multi_append_to_stream(
        [
            kdb.NewEvents(stream_name=name, events=[event()], current_version=kdb.StreamState.NO_STREAM)
            for name in (a, b)
        ]
    )
    assert len(client.get_stream(a)) == len(client.get_stream(b)) == 1
    raises(
        exceptions.WrongCurrentVersionError,
        lambda: client.multi_append_to_stream(
            [kdb.NewEvents(stream_name=name, events=[event()], current_version=7) for name in (a, b)]
        ),
    )


def follows_what_it_appends():
    name = f"notes-{uuid.uuid4()}"
    wanted = [event(f"Kind{n}") for n in range(200)]
    seen = []

    def follow():
        with client.subscribe_to_all(filter_include=[f"{name}"], filter_by_stream_name=True) as subscription:
            for item in subscription:
                seen.append(item.id)
                if len(seen) == len(wanted):
                    return

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    for n in range(0, len(wanted), 20):
        client.append_to_stream(name, current_version=kdb.StreamState.ANY, events=wanted[n : n + 20])
    follower.join(timeout=30)
    assert seen == [e.id for e in wanted], len(seen)


reads_the_engine()
reads_backwards()
reads_what_a_filter_lets_through()
follows_the_engine()
may_not_write_to_the_engine()
assert client.list_subscriptions() == []
if certificate:
    knows_a_wrong_password()
    appends()
    deletes()
    appends_to_several_streams()
    follows_what_it_appends()
    consumes_in_a_group()
comes_back()
client.close()
print("ok: python, kurrentdbclient", "with TLS" if certificate else "without TLS")
