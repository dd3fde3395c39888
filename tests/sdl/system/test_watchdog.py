"""One thread that watches the deadlines of many calls."""

import queue
import subprocess
import sys
import threading

from sdl.system.watchdog import Watchdog

FORKS = """
import os, threading
from sdl.system.watchdog import Watchdog
dog = Watchdog()
dog.watch(60, lambda: None)
reads, writes = os.pipe()
if not os.fork():
    dog.watch(0.01, lambda: os.write(writes, b"cut"))
    threading.Event().wait(5)
    os._exit(0)
print(os.read(reads, 3))
"""


def test_what_is_overdue_is_called_once_the_earliest_first_though_it_was_asked_for_last():
    called, dog = queue.SimpleQueue(), Watchdog()
    dog.watch(0.4, lambda: called.put("late"))
    dog.watch(0.02, lambda: called.put("early"))
    assert {called.get(timeout=20), called.get(timeout=20)} == {"early", "late"}
    assert called.empty()


def test_what_was_let_go_of_is_never_called_and_all_is_watched_by_one_thread():
    called, dog = queue.SimpleQueue(), Watchdog()
    before = threading.active_count()
    for _ in range(50):
        dog.let_go(dog.watch(30, lambda: called.put("needless")))
    assert threading.active_count() <= before + 1
    dog.watch(0.01, lambda: called.put("last"))
    assert called.get(timeout=20) == "last", "though the thread sleeps until a later deadline"


def test_a_copy_of_the_process_watches_by_itself():
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "b'cut'"
