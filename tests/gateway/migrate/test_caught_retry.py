"""What catches the exception of a retry that Celery has already sent is never carried over in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.generated import APP, generated_from

HEAD = f"""
from contextlib import suppress
from celery.exceptions import MaxRetriesExceededError, Retry
{APP}
@app.task(name="t", bind=True)
"""


@pytest.mark.parametrize(
    ("body", "difficulty", "said"),
    [
        ("try:\n        self.retry(countdown=3)\n    except Exception:\n        pass\n    return 1", "blocked", "no next attempt"),
        ("try:\n        self.retry()\n    except Retry:\n        return 1", "blocked", "no next attempt"),
        ("try:\n        raise self.retry()\n    except:\n        return 1", "blocked", "no next attempt"),
        (
            "try:\n        try:\n            raise self.retry()\n        except KeyError: pass\n    except Exception: x = 1",
            "blocked",
            "no next",
        ),
        ("with suppress(Exception):\n        self.retry()", "blocked", "suppressed"),
        (
            "try:\n        self.retry()\n    except Exception as exc:\n        raise self.retry(exc=exc)",
            "needs decisions",
            "raises decides",
        ),
        (
            "try:\n        self.retry()\n    except Exception as exc:\n        print(exc)\n        raise",
            "needs decisions",
            "no attempt was left",
        ),
        (
            "try:\n        self.retry()\n    except Retry:\n        raise\n    except Exception:\n        x = 1",
            "needs decisions",
            "no attempt was left",
        ),
        ("try:\n        self.retry()\n    except MaxRetriesExceededError:\n        x = 1", "needs decisions", "no attempt was left"),
        ("try:\n        int('x')\n    except Exception as exc:\n        raise self.retry(exc=exc)", "ready", ""),
        ("try:\n        self.retry()\n    except KeyError:\n        x = 1", "ready", ""),
    ],
)
def test_a_try_around_a_retry_is_judged_by_what_it_catches(tmp_path: Path, body: str, difficulty: str, said: str) -> None:
    with generated_from(tmp_path, {"proj.py": f"{HEAD}def t(self):\n    {body}\n"}) as generated:
        assert generated.module("t").difficulty == difficulty
        assert any(said in text for text in generated.decisions("t")) is bool(said)
        generated.imported("t")
