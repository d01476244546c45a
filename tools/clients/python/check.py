"""What the official Python client does with the server: follow, read, append, delete.

Run by tools/clients/run, which starts the server and gives its address; the certificate's file means TLS, and only
then is anything written, because without TLS the client sends no credentials. Ends with an error at the first surprise.
"""

import json
import sys
import threading
import uuid

import kurrentdbclient as kdb
from kurrentdbclient import exceptions

address, certificate, engine_events = sys.argv[1], sys.argv[2], int(sys.argv[3])
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
    assert json.loads(first.data)["note"].startswith("number "), first.data
    assert json.loads(first.metadata)["actor"] == "scheduler"
    assert first.recorded_at.year >= 2024
    # Forwards a position is included, backwards it is not.
    second = events[1]
    assert next(iter(client.read_all(commit_position=second.commit_position))).id == second.id
    backwards = next(iter(client.read_all(commit_position=second.commit_position, backwards=True)))
    assert backwards.id == events[0].id
    whole = client.get_stream("chain-1")
    assert [e.stream_position for e in whole] == list(range(len(whole)))
    tail = client.get_stream("chain-1", backwards=True, limit=1)
    assert tail[0].stream_position >= whole[-1].stream_position
    raises(exceptions.NotFoundError, lambda: client.get_stream("nothing-here"))
    links = client.get_stream("$ce-chain", resolve_links=True, limit=3)
    assert [e.link.stream_position for e in links] == [0, 1, 2]
    assert client.get_commit_position() >= events[-1].commit_position


def follows_the_engine():
    seen = []
    with client.subscribe_to_all(include_checkpoints=True, include_caught_up=True) as subscription:
        for item in subscription:
            if isinstance(item, kdb.CaughtUp):
                break
            if not isinstance(item, kdb.Checkpoint):
                seen.append(item)
    assert len(seen) >= engine_events
    last = seen[-1].commit_position
    # One more comes each second.
    with client.subscribe_to_all(commit_position=last) as subscription:
        live = next(subscription)
        assert live.commit_position > last
    with client.subscribe_to_stream("chain-2") as subscription:
        assert next(subscription).stream_position == 0


def may_not_write_to_the_engine():
    refused = exceptions.KurrentDBClientError
    error = raises(refused, lambda: client.append_to_stream("chain-1", current_version=kdb.StreamState.ANY, events=event()))
    assert isinstance(error, exceptions.AccessDeniedError), repr(error)
    raises(refused, lambda: client.append_to_stream("chain-1", current_version=kdb.StreamState.ANY, events=[event()]))
    raises(refused, lambda: client.delete_stream("chain-1", current_version=kdb.StreamState.ANY))
    raises(refused, lambda: client.set_stream_metadata("chain-1", metadata={"$tb": 5}))


def appends():
    name = f"notes-{uuid.uuid4()}"
    one, two, three = event(), event("Other"), event(content_type="application/octet-stream", data=b"\0\1")
    raises(exceptions.WrongCurrentVersionError, lambda: client.append_to_stream(name, current_version=3, events=one))
    at = client.append_to_stream(name, current_version=kdb.StreamState.NO_STREAM, events=one)
    assert client.append_to_stream(name, current_version=kdb.StreamState.NO_STREAM, events=one) == at
    at = client.append_to_stream(name, current_version=0, events=[two, three])
    assert client.append_to_stream(name, current_version=0, events=[two, three]) == at
    wrong = raises(
        exceptions.WrongCurrentVersionError,
        lambda: client.append_to_stream(name, current_version=1, events=[event()]),
    )
    assert "2" in str(wrong), wrong
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
follows_the_engine()
may_not_write_to_the_engine()
assert client.list_subscriptions() == []
if certificate:
    appends()
    deletes()
    appends_to_several_streams()
    follows_what_it_appends()
client.close()
print("ok: python, kurrentdbclient", "with TLS" if certificate else "without TLS")
