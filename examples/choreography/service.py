"""How a service of this shop reads topics, keeps its book, and publishes what it has done.

An event is dealt with in one transaction of the service's own database: that it was seen, what it changed, and what is
to be published for it. Then that is published, and only then is the event's place in its topic committed. So a service
may be killed anywhere: what it had not finished comes again and is known by its id, and what it had not published
is published then, with the id that it would have had.
"""

import argparse
import json
import sqlite3
import sys
import time
import urllib.error
import urllib.request
from collections import namedtuple
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer

Event = namedtuple("Event", "id name value")

TABLES = """
create table if not exists book (order_id text primary key, status text not null, note text);
create table if not exists seen (id text primary key);
create table if not exists outbox (number integer primary key, topic text, key text, headers text, value text);
"""


class Book:
    """What has become of each order, in this service's eyes."""

    def __init__(self, database):
        self.database = database

    def status(self, order_id):
        found = self.database.execute("select status from book where order_id = ?", [order_id]).fetchone()
        return found[0] if found else None

    def enter(self, order_id, status, note=None):
        self.database.execute(
            "insert into book values (?, ?, ?) "
            "on conflict (order_id) do update set status = excluded.status, note = coalesce(excluded.note, note)",
            [order_id, status, note],
        )


class Kafka:
    """Publishes with a client of its own."""

    def __init__(self, bootstrap):
        self.producer = Producer({
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "linger.ms": 0,
            "partitioner": "murmur2_random",  # Where Java's client would put it.
        })

    def publish(self, topic, key, headers, value):
        failures = []
        note = lambda error, _: failures.append(error) if error else None
        self.producer.produce(topic, key=key, value=value, headers=headers, on_delivery=note)
        left = self.producer.flush()
        if left or failures:
            raise KafkaException(failures[0] if failures else f"{left} records are not acknowledged")


class Http:
    """Publishes through the gateway: for a service that may not, or can not, write to Kafka."""

    def __init__(self, url):
        self.url = url

    def publish(self, topic, key, headers, value):
        body = json.dumps({"key": key, "value": json.loads(value), "headers": headers}).encode()
        kind = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.url}/v1/topics/{topic}/records", body, kind)
        while True:
            try:
                urllib.request.urlopen(request, timeout=30).close()
                return
            except urllib.error.HTTPError:
                raise
            except OSError as error:
                print(f"the gateway is not there yet: {error}", file=sys.stderr)
                time.sleep(0.5)


def with_headers(service, name, order_id, fields):
    """An event as CloudEvents has it: what it is stands in headers."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": f"{name}/{order_id}",
        "ce_source": f"/shop/{service}",
        "ce_type": name,
        "content-type": "application/json",
    }
    return headers, {"order_id": order_id, **fields}


def with_fields(_service, name, order_id, fields):
    """An event that has no headers: what it is stands in the value."""
    return {}, {"id": f"{name}/{order_id}", "type": name, "order_id": order_id, **fields}


def read(record):
    """The event in a record, whichever way it says what it is."""
    headers = {name: value.decode() for name, value in record.headers() or []}
    value = json.loads(record.value())
    place = f"{record.partition()}/{record.offset()}"
    identity = headers.get("ce_id") or value.get("id") or place
    return Event(f"{record.topic()}/{identity}", headers.get("ce_type") or value["type"], value)


class Service:
    def __init__(self, name, reads, react, form=with_headers):
        """`react(book, event)` changes the book and yields (topic, event's name, order id, fields) for each event that
        follows."""
        parser = argparse.ArgumentParser(description=f"the shop's service {name}")
        parser.add_argument("--kafka", required=True, help="HOST:PORT of a Kafka")
        parser.add_argument("--data", default="./shop-data", help="the folder of its book")
        parser.add_argument("--prefix", default="shop.", help="what its topics' names begin with")
        parser.add_argument("--publish", metavar="URL", help="publish through this gateway instead of Kafka")
        arguments = parser.parse_args()
        self.name, self.reads, self.react, self.form = name, reads, react, form
        self.prefix = arguments.prefix
        self.door = Http(arguments.publish) if arguments.publish else Kafka(arguments.kafka)
        Path(arguments.data).mkdir(parents=True, exist_ok=True)
        self.database = sqlite3.connect(Path(arguments.data) / f"{name}.db", timeout=10)
        self.database.executescript(TABLES)
        self.consumer = Consumer({
            "bootstrap.servers": arguments.kafka,
            "group.id": f"{self.prefix}{name}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "topic.metadata.refresh.interval.ms": 1000,
        })

    def run(self):
        self.publish()  # What it had not got round to when it was stopped.
        self.consumer.subscribe([self.prefix + topic for topic in self.reads])
        print(f"{self.name} reads {', '.join(self.prefix + topic for topic in self.reads)}", flush=True)
        try:
            while True:
                record = self.consumer.poll(1.0)
                if record is None or record.error():
                    continue
                self.take(record)
                self.publish()
                self.consumer.commit(record, asynchronous=False)
        except KeyboardInterrupt:
            self.consumer.close()

    def take(self, record):
        try:
            with self.database:  # All of it or nothing.
                event = read(record)
                new = self.database.execute("insert or ignore into seen values (?)", [event.id])
                if new.rowcount == 0:
                    return  # It came before, and what followed from it is published or in the outbox.
                for topic, name, order_id, fields in self.react(Book(self.database), event):
                    headers, value = self.form(self.name, name, order_id, fields)
                    self.database.execute(
                        "insert into outbox (topic, key, headers, value) values (?, ?, ?, ?)",
                        [self.prefix + topic, order_id, json.dumps(headers), json.dumps(value)],
                    )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            place = f"{record.topic()}/{record.partition()}/{record.offset()}"
            print(f"{self.name}: {place} is no event of this shop: {error!r}", file=sys.stderr)

    def publish(self):
        rows = self.database.execute("select number, topic, key, headers, value from outbox order by number").fetchall()
        for number, topic, key, headers, value in rows:
            self.door.publish(topic, key, json.loads(headers), value)
            with self.database:
                self.database.execute("delete from outbox where number = ?", [number])
