"""Requests that write at the same moment all succeed, and no component ends over Airflow's SQLite."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.integration.conftest import Stack

from incumbent.embedded import processes

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
PEOPLE = 4
KEYS = [f"written-{number}" for number in range(40)]


def test_people_who_write_at_once_do_not_lock_each_other_out(running: Stack) -> None:
    def write(key: str) -> int:
        return running.api.client.post("/api/v2/variables", json={"key": key, "value": "x"}).status_code

    def remove(key: str) -> int:
        return running.api.client.delete(f"/api/v2/variables/{key}").status_code

    with ThreadPoolExecutor(PEOPLE) as people:
        assert list(people.map(write, KEYS)) == [201] * len(KEYS)
        assert list(people.map(remove, KEYS)) == [204] * len(KEYS)
    ended = [found.name for found in processes.recorded(running.settings.run) if processes.alive(found) is None]
    assert ended == []
