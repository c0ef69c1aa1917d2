"""Count and render the pages of a PDF file: a program of its own, see `ecg_lib.pages.pdf`.

Usage: python pdf_process.py FILE NUMBER SIDE

It writes four numbers of 32 bits, little endian: the pages of the file, and the width, height and
bytes per row of the picture that follows. There is none where the file has no page of that number.
"""

import struct
import sys
from contextlib import suppress

import pypdfium2

MEMORY = 2 * 2**30
"""Most memory of this process, in bytes, where the system can limit it."""


def main(path: str, number: int, side: int) -> None:
    """Write the number of pages and the rendered page to standard output."""
    with pypdfium2.PdfDocument(path) as document:
        pages = len(document)
        size, picture = (0, 0, 0), b""
        if 1 <= number <= pages:
            page = document[number - 1]
            bitmap = page.render(scale=side / max(page.get_size()), grayscale=True)
            size = bitmap.width, bitmap.height, bitmap.stride
            picture = bytes(bitmap.buffer)
        sys.stdout.buffer.write(struct.pack("<4I", pages, *size) + picture)


if __name__ == "__main__":
    with suppress(ImportError, ValueError, OSError):  # Windows cannot, macOS may refuse.
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    try:
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    except (pypdfium2.PdfiumError, ValueError, ZeroDivisionError, MemoryError) as error:
        sys.exit(str(error) or type(error).__name__)
