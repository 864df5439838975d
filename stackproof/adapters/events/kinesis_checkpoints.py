"""Where the groups of a stream stand, and who reads which shard: leases, and a DynamoDB table that keeps them.

A lease is known to live by its counter, which its holder moves on: whoever sees it stand still for long enough by a clock of
his own may take it. No two clocks are ever compared.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from stackproof.adapters.aws_client import AwsClient, Effect
from stackproof.adapters.aws_errors import code_of
from stackproof.interfaces import BackendError, UnavailableError


@dataclass(frozen=True, slots=True)
class Lease:
    """The place of a group in one shard."""

    shard: str
    after: int
    """All records up to this one are done; 0: none."""
    parents: tuple[str, ...] = ()
    holder: str = ""
    """The member that reads the shard; "" for none."""
    beat: int = 0
    """Moved on by the holder as long as it lives."""
    ended: bool = False
    """Whether a closed shard was read to its end."""
    asker: str = ""
    """A member that has too few, and would like to have this one."""


class Checkpoints(Protocol):
    """A store of leases. What returns bool says whether the store still held what the caller believed."""

    def begin(self, group: str, marks: Mapping[str, int]) -> None:
        """Make a group that is not there, at these marks. Several may do it at once; none of them begins too late."""

    def leases(self, group: str) -> Sequence[Lease]:
        """As they are now, and not as they were."""

    def add(self, group: str, lease: Lease) -> None:
        """Where there is one for this shard already, it stays."""

    def take(self, group: str, lease: Lease, member: str) -> bool: ...

    def renew(self, group: str, lease: Lease, after: int, ended: bool) -> bool:
        """The holder goes on, and says where it stands."""

    def hand_over(self, group: str, lease: Lease, after: int, to: str) -> bool:
        """The holder gives it to another one, or to nobody ("")."""

    def ask(self, group: str, lease: Lease, member: str) -> bool: ...

    def drop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What a member does next."""

    take: Sequence[Lease]
    give: Sequence[Lease]
    ask: Lease | None
    settled: bool
    """Whether it has its part."""


def plan(leases: Sequence[Lease], me: str, alive: Collection[str]) -> Plan:
    """How one member gets its part of the shards, and leaves the others theirs.

    Free ones are taken up to a fair part, rounded up. Who has less than a fair part, rounded down, asks one who has more.
    """
    todo = [each for each in leases if not each.ended]
    known = {each.shard for each in todo}
    mine = [each for each in todo if each.holder == me]
    ready = [each for each in todo if not known.intersection(each.parents)]
    free = [each for each in ready if each.holder != me and each.holder not in alive]
    members = {
        me,
        *(each.holder for each in todo if each.holder in alive),
        *(each.asker for each in todo if each.asker),
    }
    most, least = math.ceil(len(todo) / len(members)), len(todo) // len(members)
    take = free[: max(0, most - len(mine))]
    asked = [each for each in mine if each.asker and each.asker != me]
    give = asked[: max(0, len(mine) - max(1, least))]
    has = len(mine) + len(take) - len(give)
    wish = _richest(todo, me, alive) if has < least and not any(each.asker == me for each in todo) else None
    return Plan(take, give, wish, has >= least and not (free and not has))


def _richest(todo: Sequence[Lease], me: str, alive: Collection[str]) -> Lease | None:
    """A lease of the member that has most of them, and more than one."""
    counts = {holder: sum(each.holder == holder for each in todo) for holder in alive if holder != me}
    offers = [each for each in todo if counts.get(each.holder, 0) > 1 and not each.asker]
    return max(offers, key=lambda each: counts[each.holder], default=None)


_META = "#"
"""Instead of a shard: the row that says that the group is complete."""


def group_id(topic: str, group: str) -> str:
    return hashlib.sha256(f"{len(topic)}:{topic}{group}".encode()).hexdigest()[:32]


@dataclass(slots=True)
class DynamoCheckpoints:
    """Leases in a table, which is made when it is missing and billed by request: one row for each group and shard."""

    client: AwsClient
    table: str
    _ready: bool = field(default=False)

    def ensure(self) -> None:
        deadline = time.monotonic() + self.client.place.operation_timeout
        while not self._ready:
            status = self._status()
            if status == "ACTIVE":
                self._ready = True
                return
            if not status:
                self._create()
            if time.monotonic() > deadline:
                raise UnavailableError(f"the table {self.table} is not ready yet ({status or 'being made'})")
            time.sleep(0.05)

    def begin(self, group: str, marks: Mapping[str, int]) -> None:
        self.ensure()
        if _META in self._rows(group):
            return
        for shard, mark in marks.items():
            self.add(group, Lease(shard, mark))
        self._set(group, _META, {}, None)

    def leases(self, group: str) -> Sequence[Lease]:
        return [_lease(row) for shard, row in self._rows(group).items() if shard != _META]

    def add(self, group: str, lease: Lease) -> None:
        values = {"after": str(lease.after), "parents": " ".join(lease.parents), "holder": "", "beat": "0"}
        self._set(group, lease.shard, values, None)

    def take(self, group: str, lease: Lease, member: str) -> bool:
        held = {"holder": lease.holder, "beat": str(lease.beat)}
        return self._set(group, lease.shard, {"holder": member, "beat": str(lease.beat + 1)}, held)

    def renew(self, group: str, lease: Lease, after: int, ended: bool) -> bool:
        values = {"after": str(after), "beat": str(lease.beat + 1), "ended": "yes" if ended else ""}
        return self._set(group, lease.shard, values, {"holder": lease.holder})

    def hand_over(self, group: str, lease: Lease, after: int, to: str) -> bool:
        values = {"after": str(after), "beat": str(lease.beat + 1), "holder": to, "asker": ""}
        return self._set(group, lease.shard, values, {"holder": lease.holder})

    def ask(self, group: str, lease: Lease, member: str) -> bool:
        return self._set(group, lease.shard, {"asker": member}, {"holder": lease.holder})

    def drop(self) -> None:
        try:
            self.client.call("delete_table", Effect.IDEMPOTENT, TableName=self.table)
        except BackendError as error:
            if code_of(error) not in ("ResourceNotFoundException", "ResourceInUseException"):
                raise
        self._ready = False

    def _rows(self, group: str) -> dict[str, dict[str, str]]:
        """The rows of a group by shard, all of them text: sequence numbers have more digits than DynamoDB's numbers."""
        rows: dict[str, dict[str, str]] = {}
        more: dict[str, Any] = {}
        while True:
            answer = self.client.call(
                "query",
                Effect.NONE,
                TableName=self.table,
                ConsistentRead=True,
                KeyConditionExpression="#group = :group",
                ExpressionAttributeNames={"#group": "group"},
                ExpressionAttributeValues={":group": {"S": group}},
                **more,
            )
            for item in answer["Items"]:
                row = {name: value["S"] for name, value in item.items()}
                rows[row["shard"]] = row
            if not answer.get("LastEvaluatedKey"):
                return rows
            more = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _set(self, group: str, shard: str, values: Mapping[str, str], held: Mapping[str, str] | None) -> bool:
        """Change a row that holds this, or with None make one that is not there; whether it was so."""
        names = {f"#{name}": name for name in (*values, *(held or {}))} | (
            {} if held is not None else {"#shard": "shard"}
        )
        sets = ", ".join(f"#{name} = :{name}" for name in values)
        condition = (
            " AND ".join(f"#{name} = :was_{name}" for name in held)
            if held is not None
            else "attribute_not_exists(#shard)"
        )
        given = {f":{name}": {"S": value} for name, value in values.items()}
        given |= {f":was_{name}": {"S": value} for name, value in (held or {}).items()}
        parameters: dict[str, Any] = {"UpdateExpression": f"SET {sets}"} if sets else {}
        parameters |= {"ExpressionAttributeValues": given} if given else {}
        try:
            self.client.call(
                "update_item",
                Effect.IDEMPOTENT,
                TableName=self.table,
                Key={"group": {"S": group}, "shard": {"S": shard}},
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                **parameters,
            )
        except BackendError as error:
            if code_of(error) == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def _status(self) -> str:
        """Empty where there is no such table."""
        try:
            answer = self.client.call("describe_table", Effect.NONE, TableName=self.table)
        except BackendError as error:
            if code_of(error) == "ResourceNotFoundException":
                return ""
            raise
        return str(answer["Table"]["TableStatus"])

    def _create(self) -> None:
        keys = (("group", "HASH"), ("shard", "RANGE"))
        try:
            self.client.call(
                "create_table",
                Effect.IDEMPOTENT,
                TableName=self.table,
                KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
                BillingMode="PAY_PER_REQUEST",
            )
        except BackendError as error:
            if code_of(error) != "ResourceInUseException":  # somebody else makes it, or it is being deleted
                raise


def _lease(row: Mapping[str, str]) -> Lease:
    return Lease(
        row["shard"],
        int(row["after"]),
        tuple(row.get("parents", "").split()),
        row.get("holder", ""),
        int(row.get("beat", "0")),
        bool(row.get("ended", "")),
        row.get("asker", ""),
    )
