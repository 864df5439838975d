"""Every environment variable that is read, with its default and what it means. tests/test_reference.py holds it to the code.

Those that choose a backend are not here: the container (`CHOSEN_BY`) and the registry know them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable. ``default`` and ``meaning`` are Markdown."""

    name: str
    default: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Group:
    """The variables of one technology, or of one purpose."""

    title: str
    variables: tuple[Variable, ...]


GROUPS = (
    Group(
        "PostgreSQL",
        (
            Variable("DATABASE_URL", "none; needed by PostgreSQL", "`postgresql://user:password@host:5432/database`"),
            Variable(
                "DATABASE_CA_FILE",
                "the system's authorities",
                "file of the CAs that PostgreSQL's certificate is verified with",
            ),
            Variable("DATABASE_TLS_VERIFY", "`yes`", "`no`: TLS as libpq does it by itself"),
            Variable("DATABASE_MAX_CONNECTIONS", "`16`", "connections that one adapter opens to PostgreSQL"),
        ),
    ),
    Group(
        "Redis, Valkey, Dragonfly, Upstash",
        (
            Variable(
                "REDIS_URL",
                "none; needed by Redis",
                "`redis://`, `rediss://` (TLS) or `unix://`; `?cluster=true`",
            ),
            Variable(
                "REDIS_CA_FILE",
                "the system's authorities",
                "file of the CAs that Redis' certificate is verified with",
            ),
            Variable(
                "REDIS_ADDRESS_MAP",
                "none",
                "where nodes are reached that announce other addresses: `HOST:PORT=HOST:PORT,...`",
            ),
            Variable(
                "UPSTASH_MAX_REQUEST_BYTES",
                "`1000000`",
                "what one request to Upstash may hold: see its docstring",
            ),
        ),
    ),
    Group(
        "The cache in this process",
        (Variable("CACHE_MAX_ENTRIES", "`10000`", "entries that the `local` cache keeps"),),
    ),
    Group(
        "ScyllaDB and Cassandra",
        (
            Variable("SCYLLA_CONTACT_POINTS", "none; needed by `scylla` and `cassandra`", "`host:9042,host:9042`"),
            Variable(
                "SCYLLA_DATACENTER",
                "that of the contact points",
                "whose nodes are asked; reads and writes are LOCAL_QUORUM",
            ),
            Variable("SCYLLA_KEYSPACE", "`stackproof`", "made where it is missing, with its tables"),
            Variable("SCYLLA_REPLICATION_FACTOR", "`3`, or the nodes there are", "of a keyspace that is made"),
            Variable("SCYLLA_USERNAME", "none", "with a password, or none of them"),
            Variable("SCYLLA_PASSWORD", "none", "with a user name"),
            Variable("SCYLLA_TLS", "`no`; `yes` with `SCYLLA_CA_FILE`", "`yes`: certificate and name are verified"),
            Variable("SCYLLA_CA_FILE", "the system's authorities", "what certificates are verified by"),
            Variable(
                "SCYLLA_ADDRESS_MAP",
                "none",
                "`node=instead,...` (both `host:port`, `*` for every node): where nodes are dialled under another address",
            ),
        ),
    ),
    Group(
        "Amazon Keyspaces",
        (
            Variable("KEYSPACES_ENDPOINT", "none; needed by `keyspaces`", "`cassandra.eu-west-1.amazonaws.com:9142`"),
            Variable("KEYSPACES_KEYSPACE", "`stackproof`", "as `SCYLLA_KEYSPACE`"),
            Variable(
                "KEYSPACES_AUTH",
                "`sigv4`",
                "`sigv4`: the AWS credentials, `AWS_REGION`; `password`; `none`: a Cassandra that stands in, without TLS",
            ),
            Variable("KEYSPACES_USERNAME", "none", "of `KEYSPACES_AUTH=password`"),
            Variable("KEYSPACES_PASSWORD", "none", "of `KEYSPACES_AUTH=password`"),
            Variable("KEYSPACES_CA_FILE", "the system's authorities", "what the certificate is verified by"),
            Variable("KEYSPACES_ADDRESS_MAP", "none", "as `SCYLLA_ADDRESS_MAP`"),
        ),
    ),
    Group(
        "AWS",
        (
            Variable("AWS_REGION", "`AWS_DEFAULT_REGION`, or that of the profile", "the region of AWS services"),
            Variable("AWS_DEFAULT_REGION", "none", "where `AWS_REGION` is not set"),
            Variable("AWS_ACCESS_KEY_ID", "boto3's own search", "the AWS credentials"),
            Variable("AWS_SECRET_ACCESS_KEY", "boto3's own search", "the AWS credentials"),
            Variable("AWS_SESSION_TOKEN", "none", "of temporary credentials"),
            Variable("AWS_PROFILE", "none", "a profile of the AWS configuration files"),
            Variable(
                "AWS_ENDPOINT_URL_<SERVICE>",
                "`AWS_ENDPOINT_URL`",
                "the address of one service (`DYNAMODB`, `CLOUDWATCH_LOGS`, ...), an emulator's, say",
            ),
            Variable("AWS_ENDPOINT_URL", "the service's own", "the address of all services"),
            Variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "`false`", "`true`: the services' own addresses"),
            Variable("AWS_CA_BUNDLE", "the system's authorities", "what certificates are verified by"),
            Variable("AWS_MAX_ATTEMPTS", "`6`, at most 10", "how often a call is sent, at most"),
        ),
    ),
    Group(
        "DynamoDB",
        (
            Variable(
                "DYNAMODB_TABLE_PREFIX",
                "`stackproof-`",
                "what the name of the table begins with; it is made where it is missing, on demand",
            ),
        ),
    ),
    Group(
        "CloudWatch Logs",
        (
            Variable("CLOUDWATCH_LOG_GROUP", "`stackproof`", "made where it is missing"),
            Variable("CLOUDWATCH_LOG_STREAM", "`{host}/{process}`", "the words in braces are replaced"),
            Variable("CLOUDWATCH_SEND_SECONDS", "`1`", "how long a record waits for others, at most"),
        ),
    ),
    Group(
        "Kafka and Redpanda",
        (
            Variable("KAFKA_BROKERS", "none; needed by `kafka`, `redpanda`", "`HOST:PORT,HOST:PORT`"),
            Variable(
                "KAFKA_SECURITY_PROTOCOL",
                "what the others ask for",
                "`PLAINTEXT`, `SSL`, `SASL_PLAINTEXT`, `SASL_SSL`",
            ),
            Variable("KAFKA_SASL_MECHANISM", "`SCRAM-SHA-512`", "`PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512`"),
            Variable("KAFKA_USERNAME", "none", "of SASL; without a protocol it asks for `SASL_SSL`"),
            Variable("KAFKA_PASSWORD", "none", "of SASL"),
            Variable(
                "KAFKA_CA_FILE",
                "the system's authorities",
                "what the brokers' certificates are verified by; without a protocol it asks for TLS",
            ),
            Variable("KAFKA_CERTIFICATE_FILE", "none", "of a client that shows a certificate (mutual TLS)"),
            Variable("KAFKA_KEY_FILE", "none", "the key of that certificate"),
            Variable(
                "KAFKA_PARTITIONS",
                "`3`",
                "of a topic that is made: so many members of a group work side by side; also with MSK",
            ),
            Variable(
                "KAFKA_LINGER_MS",
                "`0`",
                "how long an event waits for others to go with: less processor time for each, more latency; also with MSK",
            ),
            Variable(
                "KAFKA_REPLICATION",
                "what the brokers are configured to make",
                "replicas of a topic that is made; also with MSK",
            ),
        ),
    ),
    Group(
        "Amazon MSK",
        (
            Variable("MSK_BROKERS", "none; needed by `msk`", "`HOST:PORT,HOST:PORT`"),
            Variable("MSK_AUTH", "`iam`", "`iam`: the AWS credentials; `scram`: user and password"),
            Variable("MSK_USERNAME", "none", "of `scram`"),
            Variable("MSK_PASSWORD", "none", "of `scram`"),
            Variable("MSK_CA_FILE", "the system's authorities", "what the brokers' certificates are verified by"),
            Variable("MSK_SECURITY_PROTOCOL", "`SASL_SSL`", "`SASL_PLAINTEXT` for a tunnel that encrypts"),
        ),
    ),
    Group(
        "OpenSearch",
        (
            Variable(
                "OPENSEARCH_URL",
                "none; needed by `opensearch`",
                "`http://HOST:9200`, `https://USER:PASSWORD@HOST:9200`",
            ),
            Variable(
                "OPENSEARCH_AUTH",
                "`basic` where the URL has a user, else `none`",
                "`none`, `basic`, or `sigv4`: the AWS credentials, `AWS_REGION`",
            ),
            Variable("OPENSEARCH_SERVICE", "`es`", "of `sigv4`: `es` for domains, `aoss` for Serverless"),
            Variable("OPENSEARCH_CA_FILE", "the system's authorities", "what the certificate is verified by"),
            Variable(
                "OPENSEARCH_VISIBLE_WITHIN",
                "`0`; `60` for Serverless",
                "seconds until what was indexed is found: 0 refreshes in each call, 2 and more leaves it to the server",
            ),
            Variable(
                "OPENSEARCH_BULK_BYTES",
                "`2097152`",
                "about how large a bulk request is; smaller ones are made where the server refuses that",
            ),
            Variable("OPENSEARCH_COMPRESS", "`no`", "`yes`: requests are compressed"),
            Variable("OPENSEARCH_SHARDS", "`1`", "of an index that is made; a tenant is in one of them"),
            Variable(
                "OPENSEARCH_REPLICAS",
                "`0-1`",
                "of an index that is made: a number, or a range that follows the number of nodes",
            ),
            Variable("OPENSEARCH_MAX_CONNECTIONS", "`16`", "connections that one adapter keeps"),
        ),
    ),
    Group(
        "Kinesis",
        (
            Variable(
                "KINESIS_STREAM",
                "`stackproof-events`",
                "made where it is missing; a namespace is put behind it",
            ),
            Variable("KINESIS_SHARDS", "`2`", "of a stream that is made"),
            Variable(
                "KINESIS_CHECKPOINT_TABLE",
                "`stackproof-kinesis-checkpoints`",
                "of groups, in DynamoDB; made where it is missing, a namespace is put behind it",
            ),
        ),
    ),
    Group(
        "EventBridge",
        (
            Variable("EVENTBRIDGE_BUS", "`default`", "never made"),
            Variable("EVENTBRIDGE_VISIBILITY_SECONDS", "`30`", "after a crash, events come again after so long"),
            Variable(
                "EVENTBRIDGE_RETENTION_SECONDS",
                "`345600`",
                "how long the queue of a subscription keeps an event",
            ),
        ),
    ),
    Group(
        "Console logs",
        (
            Variable(
                "LOG_LEVEL",
                "`INFO`",
                "level of the handlers of `console` and `cloudwatch`: a name or a number",
            ),
            Variable("LOG_STREAM", "`stderr`", "`stderr` or `stdout`"),
        ),
    ),
    Group(
        "Time limits and environment",
        (
            Variable(
                "STACKPROOF_ENV",
                "none",
                "`production`: without `REDIS_URL` and `CACHE_STORE`, an error instead of the `local` cache and its warning",
            ),
            Variable("STACKPROOF_CONNECT_TIMEOUT", "`5`", "seconds to reach a server"),
            Variable("STACKPROOF_OPERATION_TIMEOUT", "`5`", "seconds for one operation"),
        ),
    ),
    Group(
        "Servers in containers",
        (
            Variable(
                "STACKPROOF_IMAGE_<SERVER>",
                "the official image",
                "another image for `--origin container`, also for the variants",
            ),
            Variable(
                "STACKPROOF_CONTAINER_NETWORK",
                "`published`",
                "`host`: the network of the machine, bound to 127.0.0.1; for measurements",
            ),
            Variable(
                "STACKPROOF_CONTAINER_MEMORY", "none", "what one container may use, for example `1g`; heaps take half"
            ),
            Variable("STACKPROOF_CONTAINER_CPUS", "none", "processors that one container may use, for example `1.5`"),
            Variable(
                "STACKPROOF_CONTAINER_CPU_SHARES",
                "none",
                "its weight where processors are contended; 1024 is usual",
            ),
        ),
    ),
    Group(
        "Servers that stay",
        (
            Variable(
                "STACKPROOF_SERVERS",
                "none",
                "written by `stackproof servers up`: the runs of this shell, which its `servers down` ends",
            ),
        ),
    ),
    Group(
        "A locustfile of your own",
        (Variable("STACKPROOF_RECORD", "none", "the file that the record of an `ArrivalUser` is written to"),),
    ),
)
