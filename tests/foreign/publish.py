"""Publishes events to a user's topic: one JSON line of standard input each, as
{"key": text, "type": text or null, "value": any JSON} or {"key": text, "type": text, "raw": base64}.

usage: publish.py BOOTSTRAP TOPIC < lines
"""

import base64
import json
import sys

from kafka import KafkaProducer

producer = KafkaProducer(bootstrap_servers=sys.argv[1], acks="all")
sent = []
for line in sys.stdin:
    event = json.loads(line)
    raw = base64.b64decode(event["raw"]) if "raw" in event else json.dumps(event["value"]).encode()
    headers = [("ce_type", event["type"].encode())] if event.get("type") else []
    sent.append(producer.send(sys.argv[2], key=event["key"].encode(), value=raw, headers=headers))
producer.flush()
for record in sent:
    record.get(timeout=30)
print(f"published {len(sent)}")
