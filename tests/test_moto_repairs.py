"""What moto does to concurrent clients, and that it does not any more: each in a process of its own, since it is changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import stackproof.servers

REPAIRS = Path(stackproof.servers.__file__).with_name("moto_repairs.py")
BEGIN = """
import runpy
from moto.dynamodb.models import DynamoDBBackend

if {repaired}:
    runpy.run_path({repairs!r})["repair"]()
table = "t"
backend = DynamoDBBackend("us-east-1", "123456789012")
backend.create_table(
    table,
    attr=[{{"AttributeName": "id", "AttributeType": "S"}}],
    schema=[{{"AttributeName": "id", "KeyType": "HASH"}}],
    throughput=None, indexes=None, global_indexes=None, streams=None, billing_mode="PAY_PER_REQUEST",
    sse_specification=None, tags=[], deletion_protection_enabled=False, warm_throughput=None,
)

def put(name, **more):
    return {{"Put": {{"TableName": table, "Item": {{"id": {{"S": name}}, **more}}}}}}

def there(name):
    return backend.get_item(table, {{"id": {{"S": name}}}}) is not None
"""
FAILS = """
from moto.dynamodb.exceptions import TransactionCanceledException

backend.transact_write_items([put("kept", text={"S": "old"})])
update = {
    "TableName": table, "Key": {"id": {"S": "kept"}}, "UpdateExpression": "SET #t = :t",
    "ExpressionAttributeNames": {"#t": "text"}, "ExpressionAttributeValues": {":t": {"S": "new"}},
}

class Meanwhile(str):
    pass

put_item = backend.put_item
def and_another_request(*arguments, **options):
    done = put_item(*arguments, **options)
    put_item(table, {"id": {"S": "of another request"}})
    return done

backend.put_item = and_another_request
refused = put("kept")
refused["Put"]["ConditionExpression"] = "attribute_not_exists(id)"
again = {"Update": update}
try:
    backend.transact_write_items([put("own"), refused])
except TransactionCanceledException:
    print("cancelled")
backend.put_item = put_item
refused = put("other")
refused["Put"]["ConditionExpression"] = "attribute_exists(id)"
try:
    backend.transact_write_items([again, refused])
except TransactionCanceledException:
    print("cancelled")
print(there("own"), there("of another request"), backend.get_item(table, {"id": {"S": "kept"}}).to_json())
"""


def run(program: str, repaired: bool) -> str:
    text = BEGIN.format(repaired=repaired, repairs=str(REPAIRS)) + program
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, encoding="utf-8", timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("repaired", [False, True])
def test_a_transaction_that_fails_undoes_its_own_writes_only(repaired: bool) -> None:
    said = run(FAILS, repaired)
    assert said.count("cancelled") == 2
    own, of_another, kept = said.splitlines()[-1].split(" ", 2)
    assert own == "False"
    assert "'old'" in kept
    assert of_another == str(repaired), "moto itself puts the whole table back: the repair may not be needed any more"


ONE_AT_A_TIME = """
import threading, time
from moto.moto_server.werkzeug_app import DomainDispatcherApplication

inside, most = [], []

def busy(environ, start_response):
    inside.append(1)
    most.append(len(inside))
    time.sleep(0.02)
    inside.pop()
    return [b"o", b"k"]

application = DomainDispatcherApplication(lambda service: busy)
environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/moto-api/"}
answers = []
threads = [threading.Thread(target=lambda: answers.append(b"".join(application(environ, None)))) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(set(answers) == {b"ok"} and len(answers) == 8, max(most))
"""


@pytest.mark.parametrize("repaired", [False, True])
def test_requests_are_answered_one_after_the_other(repaired: bool) -> None:
    fine, most = run(ONE_AT_A_TIME, repaired).split()
    assert fine == "True"
    assert (int(most) == 1) is repaired


SERVED = """
import runpy
import moto.server
from moto.dynamodb.models import DynamoDBBackend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication

def serve(arguments):
    print(DomainDispatcherApplication.__call__.__name__, DynamoDBBackend.transact_write_items.__name__)

moto.server.main = serve
runpy.run_path({script!r})["main"]("1")
"""


def test_the_embedded_server_is_repaired_before_it_serves() -> None:
    """Its certificate says so."""
    assert run(SERVED.replace("{script!r}", repr(str(REPAIRS.with_name("moto_server.py")))), False).split() == [
        "serve_alone",
        "transact_or_undo",
    ]
