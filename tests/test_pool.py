"""Models that stay loaded."""

from __future__ import annotations

import threading
import time

from nulie.models.pool import MOST_LOADED, Pool


def test_a_predictor_is_loaded_once() -> None:
    created = []

    def create(name: str, **options: object) -> tuple[object, str]:
        time.sleep(0.01)
        created.append(name)
        return object(), ""

    predictors = Pool(create)
    found = []
    threads = [threading.Thread(target=lambda: found.append(predictors.get())) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert created == ["auto"]
    assert len(set(found)) == 1
    for name in "abc"[:MOST_LOADED]:
        predictors.get(name)
    predictors.get()
    assert created == ["auto", *"abc"[:MOST_LOADED], "auto"], "the oldest one made room"
