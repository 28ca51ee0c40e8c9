"""A participant as anybody could write it: a Kafka client, JSON, and the four things that one owes.

usage: participant.py BOOTSTRAP PREFIX AGENT [AGENT...]

It does whatever it is asked. An input `fail` makes a do fail with that code, not to be retried. What it has
done is kept in memory: it is a test's participant, and the test does not kill it.
"""

import json
import sys

from confluent_kafka import Consumer, Producer, TIMESTAMP_LOG_APPEND_TIME
from datetime import datetime

bootstrap, prefix, agents = sys.argv[1], sys.argv[2], sys.argv[3:]
consumer = Consumer({
    "bootstrap.servers": bootstrap,
    "group.id": prefix + "python",
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
    # The topic may be made later, when a saga that names the agent is deployed; the default is five minutes.
    "topic.metadata.refresh.interval.ms": 1000,
})
# This client's own partitioner is not Java's: an answer may land on another partition than its workflow's.
producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})

done = {}        # idempotency key -> the first output
undone = set()   # idempotency keys
epochs = {}      # (workflow, run) -> the highest compensation epoch seen


def milliseconds(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000


def answer(command, headers, value):
    """The answer to a command: its type and its value."""
    key = headers["pavane_idempotency_key"]
    kind = headers["ce_type"]
    workflow = headers["ce_subject"].rsplit("/", 2)[0]
    run = (workflow, headers["pavane_run"])
    epoch = int(headers["pavane_epoch"])
    seen = epochs.setdefault(run, 0)
    epochs[run] = max(seen, epoch)
    if kind == "pavane.DoTask":
        if key in done:
            return "TaskCompleted", done[key]
        if key in undone:
            return "TaskFailed", {"code": "already_undone", "message": "it was undone", "retryable": False}
        if epoch < seen:
            return "TaskFailed", {"code": "superseded", "message": "the workflow compensates"}
        stamp, appended = command.timestamp()
        if stamp == TIMESTAMP_LOG_APPEND_TIME and appended > milliseconds(headers["pavane_deadline"]):
            return "TaskFailed", {"code": "expired", "message": "it came too late"}
        if isinstance(value, dict) and value.get("fail"):
            return "TaskFailed", {"code": value["fail"], "message": "as asked", "retryable": False}
        done[key] = {"by": "python", "task": headers["pavane_type"], "given": value}
        return "TaskCompleted", done[key]
    if kind == "pavane.UndoTask":
        first = key in done and key not in undone
        undone.add(key)
        return ("TaskCompleted", {"undone": True}) if first or key in done else ("NothingToUndo", None)
    if kind == "pavane.QueryTask":
        if key in done:
            return "TaskStatus", {"status": "done", "output": done[key]}
        return "TaskStatus", {"status": "not_done"}
    return None, None


consumer.subscribe([prefix + "tasks." + agent for agent in agents])
print("ready", flush=True)
while True:
    command = consumer.poll(1.0)
    if command is None or command.error():
        continue
    headers = {name: value.decode() for name, value in command.headers() or []}
    value = json.loads(command.value()) if command.value() else None
    kind, output = answer(command, headers, value)
    if kind:
        producer.produce(
            prefix + "inbox",
            key=command.key(),
            value=None if output is None else json.dumps(output),
            headers={"ce_type": "pavane." + kind, "ce_subject": headers["ce_subject"]},
        )
        producer.flush()
    consumer.commit(command)
