"""The handles of librdkafka that one publisher needs: made on first use, served by one thread, given back in bounded time.

A forked child makes its own.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeAlias, TypeVar
from weakref import WeakSet, ref

from confluent_kafka import KafkaError, KafkaException

from stackproof.adapters.native_threads import require_native_threads
from stackproof.adapters.waiting_line import tell
from stackproof.interfaces import (
    BackendError,
    ClosedError,
    ConfigurationError,
    Done,
    IndeterminateError,
    OperationTimeoutError,
    UnavailableError,
)

from .common import logger
from .kafka_errors import REFUSALS, text_of, translated
from .kafka_handles import Asking, Receiving, Sending, keep_all, opened, see_to_the_end
from .kafka_settings import KafkaConnection

Delivered: TypeAlias = Callable[[KafkaError | None, object], None]
T = TypeVar("T")
H = TypeVar("H", Asking, Sending, Receiving)

DRIVER = "the Kafka driver (confluent-kafka)"
LARGEST_RECORD = 1_000_000
"""Bytes, with key and headers: what brokers take unless they are configured otherwise, a little rounded down."""
SERVE_SECONDS = 0.1
"""How often the thread of a client looks whether it shall end."""
SERVED_AT_ONCE = 100
"""Acknowledgements in a row, at most, before the thread looks after the other handle."""
PROBE_SECONDS = 1.0
"""How long one question for a sign of life waits."""
GRACE_SECONDS = 1.5
"""How much later than its time limit the driver may report: it looks for records that are too late once a second."""
AT_EXIT_SECONDS = 1.0
"""How long the end of a program waits for subscriptions that nobody closed."""


class Receipt:
    """What became of one record. The lock is held until it is known."""

    __slots__ = ("error", "known")

    def __init__(self) -> None:
        self.known = threading.Lock()
        self.known.acquire()
        self.error: KafkaError | None = None

    def __call__(self, error: KafkaError | None, _message: object) -> None:
        self.error = error
        self.known.release()


class KafkaClient:
    """One producer and one handle for administration, with their thread."""

    def __init__(self, connection: KafkaConnection) -> None:
        require_native_threads(DRIVER)
        self.connection = connection
        self.where = connection.where
        self._check_options()
        self._closed = False
        self._trouble: tuple[float, KafkaError] | None = None
        self._begin()
        _clients.add(self)
        _watch_the_end()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._admin: Any = None
        self._producer: Any = None
        self._retired: list[Any] = []
        """Producers that take nothing more, and still have to tell what became of records."""
        self._thread: threading.Thread | None = None
        self._ends = threading.Event()
        self._doubtful = True
        """Whether the brokers have to be asked for a sign of life before anything is sent."""

    def _check_options(self) -> None:
        """What the driver cannot work with at all is wrong now, not at the first use. With tokens it would take a second."""
        if "oauth_cb" not in self.connection.access:
            self._opened(Asking, self._options("adminclient"))

    def _opened(self, kind: type[H], options: dict[str, Any]) -> H:
        try:
            return opened(kind, options)
        except (KafkaException, ValueError, TypeError) as error:
            raise ConfigurationError(f"the settings of {self.where} cannot work: {text_of(error)}") from error

    # What can be asked of the brokers

    def check_open(self) -> None:
        """Raise `ClosedError` after `close`."""
        if self._closed:
            raise ClosedError(f"the connection to {self.where} was disconnected and stays so")

    def be_connected(self) -> None:
        """Nothing, while all is well. In doubt, wait for a sign of life: then what fails now was surely not applied.

        It is asked for anew again and again: a question that began without any broker does not always notice the first one.
        """
        self.check_open()
        if not self._doubtful:
            return
        began = time.monotonic()
        while self._doubtful:
            left = began + self.connection.connect_timeout - time.monotonic()
            try:
                self.ask(_sign_of_life, within=max(0.1, min(PROBE_SECONDS, left)))
            except BackendError as error:
                refused = isinstance(cause := error.__cause__, KafkaException) and cause.args[0].code() in REFUSALS
                if refused or isinstance(error, ClosedError):
                    raise
                if left <= PROBE_SECONDS:
                    raise self._unreachable(began) from error
            else:
                self._doubtful = False

    def ping(self) -> bool:
        try:
            self.ask(_sign_of_life)
        except BackendError:
            return False
        return True

    def ask(self, question: Callable[[Any, float], Future[T]], *, within: float | None = None) -> T:
        """The answer to ``question(admin, seconds)``; errors are ours."""
        seconds = self.connection.operation_timeout if within is None else within
        admin, began = self._admin_handle(), time.monotonic()
        try:
            future = question(admin, seconds)
            while True:
                self.check_open()
                try:
                    return future.result(0.05)
                except TimeoutError:
                    self._give_up(admin, began, seconds)
        except KafkaException as error:
            self._doubtful = True
            raise translated(error.args[0], self.where, seconds, sent=False) from error
        finally:
            # An error refers to this frame, and the question to the error: with them, the handle would be left to the collector.
            future = admin = None  # type: ignore[assignment]

    def ask_all(self, question: Callable[[Any, float], dict[Any, Future[T]]]) -> dict[Any, T]:
        """The same for a question that has several answers."""
        answers: dict[Any, Future[T]] = {}

        def ask(admin: Any, seconds: float) -> Future[T]:
            answers.update(question(admin, seconds))
            return next(iter(answers.values()))

        try:
            self.ask(ask)
            return {of: self.ask(lambda _admin, _seconds, answer=answer: answer) for of, answer in answers.items()}  # type: ignore[misc]
        finally:
            answers.clear()  # as in `ask`

    def start_asking(self, question: Callable[[Any, float], T]) -> T:
        """Ask, and do not wait."""
        return question(self._admin_handle(), self.connection.operation_timeout)

    def _give_up(self, admin: Any, began: float, seconds: float) -> None:
        """While an answer is awaited: a broker that refuses us is not waited for, nor a driver that forgot us."""
        admin.poll(0)
        trouble = self._trouble_since(began)
        if trouble is not None and trouble.code() in REFUSALS:
            self._doubtful = True
            raise translated(trouble, self.where, seconds, sent=False) from KafkaException(trouble)
        if time.monotonic() - began > seconds + GRACE_SECONDS:
            self._doubtful = True
            raise OperationTimeoutError(f"{self.where} did not answer within {seconds:g} s")

    def _unreachable(self, began: float) -> BackendError:
        """With the reason, where it is known; a listener that expects TLS just says nothing."""
        trouble = self._trouble_since(began)
        if trouble is not None:
            return UnavailableError(f"{self.where} cannot be reached: {trouble.str()}")
        protocol = self.connection.access.get("security.protocol", "PLAINTEXT")
        return OperationTimeoutError(
            f"{self.where} did not answer within {self.connection.connect_timeout:g} s; it was spoken to by {protocol}, which "
            "has to be what its listener speaks"
        )

    # Sending

    def send(self, topic: str, key: bytes, value: bytes) -> None:
        """Return when the brokers have the record."""
        self.be_connected()
        receipt, limit = Receipt(), self.connection.record_timeout
        producer = self._put(topic, key, value, receipt, time.monotonic() + limit)
        if not receipt.known.acquire(timeout=limit + GRACE_SECONDS):
            self._doubtful = True
            raise IndeterminateError(
                f"{self.where} did not acknowledge the event within {limit:g} s; it may be written or not"
            )
        if receipt.error is not None:
            raise self._undelivered(receipt.error, producer)

    @property
    def ready(self) -> bool:
        """Whether a record can be handed to the driver at once, with nothing to wait for before."""
        return self._producer is not None and not self._doubtful

    def start_sending(
        self,
        topic: str,
        key: bytes,
        value: bytes,
        done: Done,
        failed: Callable[[str], None],
        *,
        patient: bool = False,
    ) -> None:
        """Hand a record to the driver; ``done`` is told when the brokers have it, by the thread that serves the handles.

        ``failed(topic)`` is called before an error is told. It does not wait where the client is `ready`: with a full queue it
        raises `BufferError`, unless it is to be ``patient``.
        """

        def delivered(error: KafkaError | None, _message: object) -> None:
            if error is not None:
                failed(topic)
                tell(done, self._undelivered(error, producer))
                return
            try:
                done(None)
            except BaseException:  # noqa: BLE001 - SystemExit too: it would end the thread that serves
                logger.exception("what was to be told that an event was published raised")

        producer = self._producer
        if patient or producer is None:
            producer = self._put(topic, key, value, delivered, time.monotonic() + self.connection.record_timeout)
        else:
            try:
                producer.produce(topic, value, key, on_delivery=delivered)
            except KafkaException as error:
                self._replace(producer)
                limit = self.connection.operation_timeout
                raise translated(error.args[0], self.where, limit, sent=False) from error
        if self._closed:  # at the same time: then `close` may have missed it
            self._flush(producer)

    def _undelivered(self, error: KafkaError, producer: Any) -> BackendError:
        """The error of ours for a record that the driver gave up."""
        self._doubtful = True
        if error.fatal():
            self._replace(producer)
        ours = translated(error, self.where, self.connection.record_timeout, sent=True)
        ours.__cause__ = KafkaException(error)
        return ours

    def _put(self, topic: str, key: bytes, value: bytes, receipt: Delivered, deadline: float) -> Any:
        """Hand a record to the driver; while its queue is full, wait for room."""
        producer = None
        while True:
            try:
                producer = self._producer_handle(topic)
                producer.produce(topic, key=key, value=value, on_delivery=receipt)
            except BufferError as error:
                if time.monotonic() > deadline:
                    raise UnavailableError(f"the queue to {self.where} is full, nothing was sent") from error
                time.sleep(0.005)
            except KafkaException as error:
                self._replace(producer)
                limit = self.connection.operation_timeout
                raise translated(error.args[0], self.where, limit, sent=False) from error
            else:
                return producer

    def _replace(self, producer: Any) -> None:
        """A producer that met a fatal error takes nothing more: the next record gets a new one."""
        with self._lock:
            if self._producer is producer and producer is not None:
                self._producer = None
                self._retired.append(producer)

    # The handles

    def _options(self, kind: str) -> dict[str, Any]:
        options = {**self.connection.options(), "error_cb": self._on_error}
        if kind == "producer":
            limit = int(self.connection.record_timeout * 1000)
            options |= {
                "acks": "all",
                "enable.idempotence": True,  # without it, records of one key were seen to change places
                "linger.ms": self.connection.linger * 1000,
                "message.timeout.ms": limit,
                "request.timeout.ms": limit,
                "message.max.bytes": LARGEST_RECORD,
                "queue.buffering.max.kbytes": 64 * 1024,
                "partitioner": "murmur2_random",  # as the clients of other languages
            }
        return options

    def producer_options(self) -> dict[str, Any]:
        """What the producer is made with; passwords are among it."""
        return self._options("producer")

    def new_consumer(self, options: dict[str, Any]) -> Any:
        """A consumer; whoever asks for it closes it."""
        return self._opened(Receiving, {**self.connection.options(), **options})

    def _admin_handle(self) -> Any:
        self.check_open()
        with self._lock:
            if self._admin is None:
                self._admin = self._opened(Asking, self._options("adminclient"))
            self._serve_handles()
            return self._admin

    def _producer_handle(self, topic: str) -> Any:
        self.check_open()
        with self._lock:
            if self._producer is None:
                made = self._opened(Sending, self._options("producer"))
                # The driver asks for the id that makes it idempotent only when a connection is up, and looks for that twice
                # a second: this brings one up at once.
                made.list_topics(topic, timeout=self.connection.operation_timeout)
                self._producer = made
            self._serve_handles()
            return self._producer

    def _on_error(self, error: KafkaError) -> None:
        """Called by the thread that serves a handle: something is wrong with a connection, or with all of them."""
        known = self._trouble_since(time.monotonic() - self.connection.connect_timeout)
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._doubtful = True
        elif known is None or known.code() not in REFUSALS or error.code() in REFUSALS:
            self._trouble = (time.monotonic(), error)

    def _trouble_since(self, moment: float) -> KafkaError | None:
        trouble = self._trouble
        return trouble[1] if trouble is not None and trouble[0] >= moment else None

    def _serve_handles(self) -> None:
        """Called under the lock: there is a thread that serves what there is."""
        if self._thread is None or not self._thread.is_alive():
            require_native_threads(DRIVER)  # somebody may have replaced them meanwhile
            self._thread = threading.Thread(target=self._serve, name="stackproof-kafka", daemon=True)
            self._thread.start()

    def _serve(self) -> None:
        ends = self._ends
        while not ends.is_set():
            producer, admin = self._producer, self._admin
            if admin is not None:
                admin.poll(0 if producer is not None else SERVE_SECONDS)
            for retired in list(self._retired):
                retired.poll(0)
                if not len(retired):
                    self._retired.remove(retired)
            retired = None
            if producer is not None:
                # Whatever else this thread does between two acknowledgements keeps the interpreter from whoever waits for them.
                for _ in range(SERVED_AT_ONCE):
                    if not producer.poll(SERVE_SECONDS):
                        break
            if producer is admin is None:
                ends.wait(SERVE_SECONDS)

    # The end

    def close(self) -> None:
        """Send what waits, then give everything back. Bounded in time; again: does nothing."""
        with self._lock:
            self._closed = True
            producers, thread = [*self._retired, *([] if self._producer is None else [self._producer])], self._thread
        deadline = time.monotonic() + self.connection.record_timeout + GRACE_SECONDS
        for producer in producers:
            self._flush(producer, deadline)
        self._ends.set()
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            thread.join(2.0)
        left = [ref(handle) for handle in (*producers, self._admin) if handle is not None]
        producer = self._producer = self._admin = None
        producers.clear()
        self._retired.clear()
        for each in left:
            see_to_the_end(each)

    def _flush(self, producer: Any, deadline: float | None = None) -> None:
        """Send what waits in a producer until the deadline, and give up the rest: then its ends were told, too."""
        deadline = deadline or time.monotonic() + self.connection.record_timeout + GRACE_SECONDS
        while len(producer) and time.monotonic() < deadline:
            producer.flush(min(0.1, max(0.0, deadline - time.monotonic())))
        if len(producer):
            logger.warning("%d events that %s did not acknowledge were given up", len(producer), self.where)
            producer.purge()
            given_up = time.monotonic() + 1.0
            while len(producer) and time.monotonic() < given_up:
                producer.flush(0.1)


def _sign_of_life(admin: Any, seconds: float) -> Future[Any]:
    answer: Future[Any] = admin.describe_cluster(request_timeout=seconds)
    return answer


_clients: WeakSet[KafkaClient] = WeakSet()
readers: WeakSet[Any] = WeakSet()
"""The subscriptions that have a consumer. Each can be stopped, and waited for."""


def _in_a_forked_child() -> None:
    keep_all()
    for client in list(_clients):
        client._begin()
    for reader in list(readers):
        reader.leave_to_the_parent()


def _at_exit() -> None:
    deadline = time.monotonic() + AT_EXIT_SECONDS
    left = list(readers)
    for reader in left:
        reader.stop()
    for reader in left:
        reader.wait(max(0.0, deadline - time.monotonic()))
    for client in list(_clients):
        client._ends.set()
    keep_all()


_watching = 0


def _watch_the_end() -> None:
    """Once in each process, when it makes its first client: what the application registers later comes earlier at the end."""
    global _watching  # noqa: PLW0603 - one for each process
    if _watching != os.getpid():
        _watching = os.getpid()
        atexit.register(_at_exit)


os.register_at_fork(after_in_child=_in_a_forked_child)
