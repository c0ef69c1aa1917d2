"""Show the progress messages that the library logs."""

import logging


class _StandardOutput(logging.Handler):
    """Print each message at once, to whatever standard output is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), flush=True)


def show_progress() -> None:
    """Print the library's progress messages on standard output; without this they are not shown.

    The command line and the training notebook call it. A program that uses the library configures
    the logger `ecg_lib` as it likes.
    """
    logger = logging.getLogger("ecg_lib")
    logger.setLevel(logging.INFO)
    if not any(isinstance(handler, _StandardOutput) for handler in logger.handlers):
        logger.addHandler(_StandardOutput())
