"""Reads the public lifecycle events with a foreign client, decodes them with the schemas, and prints one JSON
line an event: {"workflow", "run", "sequence", "type", "event"}. Ends once COUNT runs have ended.

A run's events must come in order, 1, 2, 3...; what comes again is skipped, as the documentation says.

usage: history.py BOOTSTRAP TOPIC COUNT SCHEMAS-URL
"""

import io
import json
import struct
import sys
import time
import urllib.request

import fastavro
from kafka import KafkaConsumer, TopicPartition

bootstrap, topic, count, registry = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
ENDS = {"pavane.WorkflowCompleted", "pavane.WorkflowFailed", "pavane.WorkflowCancelled"}
schemas = {}


def schema_of(number):
    if number not in schemas:
        with urllib.request.urlopen(f"{registry}/schemas/ids/{number}", timeout=10) as found:
            schemas[number] = fastavro.parse_schema(json.loads(json.load(found)["schema"]))
    return schemas[number]


consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
partitions = [TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic)]
consumer.assign(partitions)
consumer.seek_to_beginning(*partitions)
reached, ended = {}, set()
deadline = time.monotonic() + 60
while len(ended) < count:
    if time.monotonic() > deadline:
        sys.exit(f"only {len(ended)} of {count} runs have ended")
    for records in consumer.poll(timeout_ms=500).values():
        for record in records:
            headers = {name: value.decode() for name, value in record.headers}
            magic, number = struct.unpack(">bI", record.value[:5])
            assert magic == 0, record.value[:5]
            event = fastavro.schemaless_reader(io.BytesIO(record.value[5:]), schema_of(number))
            run = (record.key.decode(), headers["pavane_run"])
            sequence = int(headers["ce_sequence"])
            if sequence <= reached.get(run, 0):
                continue
            assert sequence == reached.get(run, 0) + 1, f"{run}: {sequence} after {reached.get(run, 0)}"
            assert headers["ce_specversion"] == "1.0" and headers["content-type"] == "application/avro"
            reached[run] = sequence
            kind = headers["ce_type"]
            if kind in ENDS:
                assert run not in ended, f"one-end: {run}"
                ended.add(run)
            line = {"workflow": run[0], "run": run[1], "sequence": sequence, "type": kind, "event": event}
            print(json.dumps(line, default=str), flush=True)
