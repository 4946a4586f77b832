"""The line before a device."""

from __future__ import annotations

import threading
import time

from nulie.jobs.host import Line


def test_first_come_first_served() -> None:
    line = Line()
    tickets = [line.join("cpu") for _ in range(3)]
    elsewhere = line.join("cuda")
    assert [t.place() for t in (*tickets, elsewhere)] == [0, 1, 2, 0]
    assert tickets[0].wait(0)
    assert not tickets[1].wait(0.01)
    tickets[1].leave()  # gave up waiting
    assert tickets[2].place() == 1
    tickets[0].leave()
    assert tickets[2].wait(0)
    tickets[0].leave()
    tickets[2].leave()
    assert line.join("cpu").place() == 0


def test_one_at_a_time_whatever_the_threads() -> None:
    line, inside, most = Line(), 0, []

    def work() -> None:
        nonlocal inside
        ticket = line.join("cpu")
        try:
            ticket.wait()
            inside += 1
            most.append(inside)
            time.sleep(0.002)
            inside -= 1
        finally:
            ticket.leave()

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 12
