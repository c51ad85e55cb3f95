"""Libraries are patched when they come, and only once."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from dualrun.contracts import Role, Side
from dualrun.effects import execution, install
{before}
install(); install()
loaded = [name for name in ("httpx", "requests", "smtplib", "aiosmtplib") if name in sys.modules]
assert loaded == {loaded!r}, loaded
import httpx, requests, smtplib, aiosmtplib, importlib.resources
for function in (httpx.Client.send, httpx.AsyncClient.send, requests.Session.send, smtplib.SMTP.sendmail, aiosmtplib.SMTP.sendmail):
    original = function.__wrapped__
    assert not hasattr(original, "__wrapped__"), "patched twice"
assert httpx.__spec__.loader is httpx.__loader__ and type(httpx.__loader__).__name__ == "SourceFileLoader"
assert list(importlib.resources.files("httpx").iterdir())
with execution(role=Role.SHADOW, side=Side.EVENTS, submission_id="s", task="t") as run:
    assert httpx.post("http://nowhere.invalid/a", json=1).json() == {{}}
    assert requests.post("http://nowhere.invalid/a", json=1).json() == {{}}
assert len(run.effects) == 2 and run.effects[0] == run.effects[1]
"""


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("before", "loaded"),
    [
        pytest.param("", [], id="imported later"),
        pytest.param("import httpx, requests", ["httpx", "requests"], id="imported before"),
    ],
)
def test_a_library_is_patched_whenever_it_is_imported(before: str, loaded: list[str]) -> None:
    program = PROGRAM.format(before=before, loaded=loaded)
    result = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr


@pytest.mark.e2e
def test_a_missing_library_is_no_trouble() -> None:
    program = """
import sys
sys.modules["aiosmtplib"] = None
from dualrun.effects import install
sys.modules.pop("aiosmtplib")
class Hide:
    def find_spec(self, name, path, target=None):
        if name == "aiosmtplib":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hide())
install()
try:
    import aiosmtplib
except ModuleNotFoundError:
    import httpx
    assert hasattr(httpx.Client.send, "__wrapped__")
else:
    raise AssertionError
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
