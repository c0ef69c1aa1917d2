"""Run each of the compared ways in its own process, with its own threads and memory."""

import multiprocessing
from contextlib import contextmanager


@contextmanager
def elsewhere(new_function, argument):
    """Yield a function that calls another one in a separate process and waits for it.

    Args:
        new_function: called there once with `argument`; returns the function to call.
        argument: what can be sent to another process.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_call, args=(there, new_function, argument), daemon=True)
    process.start()
    there.close()

    def call():
        here.send(True)
        here.recv()

    try:
        yield call
    finally:
        here.close()
        process.join()


def _call(connection, new_function, argument):
    function = new_function(argument)
    while _asked(connection):
        function()
        connection.send(True)


def _asked(connection):
    try:
        return connection.recv()
    except EOFError:
        return False
