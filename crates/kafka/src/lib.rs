//! The broker over Apache Kafka: every librdkafka setting with its reason, topics, schema registry.
