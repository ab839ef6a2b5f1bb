"""The limit: one pass of C expat over the file, with handlers that do nothing (`handlers`) or none at all (`bare`)."""
import sys
import time
from xml.parsers import expat

from measure import report


def empty(*_):
    pass


if __name__ == "__main__":
    start = time.perf_counter()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    if sys.argv[2] == "handlers":
        parser.StartElementHandler = empty
        parser.EndElementHandler = empty
        parser.CharacterDataHandler = empty
    with open(sys.argv[1], "rb") as source:
        while chunk := source.read(1 << 20):
            parser.Parse(chunk, False)
        parser.Parse(b"", True)
    report(start, {})
