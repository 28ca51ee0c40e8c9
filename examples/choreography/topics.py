"""Makes the shop's topics, those that there are not yet.

usage: topics.py HOST:PORT [PREFIX]
"""

import sys

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

prefix = sys.argv[2] if len(sys.argv) > 2 else "shop."
names = [prefix + name for name in ["orders", "stock", "payments", "risk", "shipping"]]
admin = AdminClient({"bootstrap.servers": sys.argv[1]})
for name, made in admin.create_topics([NewTopic(name, num_partitions=4) for name in names]).items():
    try:
        made.result()
        print(f"made {name}")
    except KafkaException as error:
        if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
            raise
        print(f"{name} is there")
