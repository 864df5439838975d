"""The AWS services that backends use, from the `moto` package: an emulator, which ends with the process like the others."""

from __future__ import annotations

import http.client
import importlib.util
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from .accounts import can_use
from .embedded import Attempt, EmbeddedServer
from .ports import LOOPBACK
from .runs import Run
from .server import MissingWheelError

SCRIPT = Path(__file__).with_name("moto_server.py")
REPAIRS = Path(__file__).with_name("moto_repairs.py")
PACKAGES = ("moto", "flask", "flask_cors")
ANSWER_SECONDS = 5.0
REGION = "us-east-1"
REPAIRED = {
    "repaired here": "one request after the other; a failed transaction undoes its own writes only; a message of SQS is "
    "looked at without all others"
}
"""What `moto_repairs` changes, so that a certificate says which emulator it was."""
ACCESS_KEY = "AKIASTACKPROOF000000"


class EmbeddedAws(EmbeddedServer):
    """DynamoDB, Kinesis, EventBridge, SQS and CloudWatch Logs as `moto` imitates them.

    It keeps everything in memory: `restart()` and `kill()` lose it. It accepts any key, never throttles, and does a few
    hundred calls a second: it shows whether an adapter speaks to the service correctly, and nothing about speed.
    """

    name = "aws"
    technology = "moto"
    fidelity = "emulator"
    title = "moto"
    orderly_signal = signal.SIGTERM
    quick_signal = signal.SIGKILL

    def variables(self) -> Mapping[str, str]:
        """Return where the services are, and keys that stand for themselves: moto accepts any."""
        return {"AWS_ENDPOINT_URL": f"http://{LOOPBACK}:{self.port}", **aws_identity(self._started_run())}

    def version(self) -> str:
        """Return the version of the package that serves."""
        return version("moto")

    def facts(self) -> Mapping[str, str]:
        """Return what an emulator does not do."""
        return {"durability": "none: in memory", "throttling": "never", "permissions": "not checked", **REPAIRED}

    def _set_up(self, run: Run, folder: Path) -> None:
        found = [_origin(name) for name in PACKAGES]
        # Rather as nobody than as root, where nobody can read the interpreter and the packages.
        readable = can_use([Path(sys.executable), Path(os.__file__), SCRIPT, REPAIRS, *found], run.account)
        work = run.folder(f"{folder.name}/data")
        if not readable:
            self._account = None
            for path in (folder, work):
                os.chown(path, os.geteuid(), os.getegid())

    def _command(self, _folder: Path, port: int) -> Sequence[str]:
        paths = [path for path in sys.path if path and Path(path).is_dir()]
        return [sys.executable, "-P", "-B", str(SCRIPT), str(port), *paths]

    def _answers(self, attempt: Attempt) -> bool:
        if "Running on http" not in attempt.said:  # its own word first, lest a stranger on the port be asked
            return False
        client = http.client.HTTPConnection(LOOPBACK, attempt.port, timeout=ANSWER_SECONDS)
        try:
            client.request("GET", "/moto-api/data.json")
            return client.getresponse().status == 200
        except OSError:
            return False
        finally:
            client.close()


def aws_identity(run: Run) -> dict[str, str]:
    """The variables that say who calls an AWS service, and in which region (boto3 reads only the second name of it).

    They are one set for a run, since all its servers share one environment.
    """
    return {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": run.secret,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }


def _origin(package: str) -> Path:
    """Return the file of an installed package, without running any of its code."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise MissingWheelError("emulator")
    return Path(spec.origin)
