"""End the program in order, workers included, whichever signal ends it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_NAMES = ("SIGTERM", "SIGHUP")
"""What `kill` and a closing terminal send; Windows lacks the second."""


@contextmanager
def ended_as_by_ctrl_c() -> Iterator[None]:
    """Raise `KeyboardInterrupt` in this context for the signals that would end the process at once.

    Without this, the workers that prepare pages and the kernel that trains would live on. Signals
    that are ignored, such as SIGHUP under `nohup`, stay ignored.
    """
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {
            number: signal.signal(number, signal.default_int_handler)
            for number in numbers
            if signal.getsignal(number) is signal.SIG_DFL
        }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
