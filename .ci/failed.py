"""Names the tests that failed, a line each: the end of a log that is cut at its beginning.

failed.py RESULTS.xml
"""

import sys
from xml.etree import ElementTree


def main(results: str) -> None:
    for case in ElementTree.parse(results).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            print(f"FAILED {case.get('classname')}::{case.get('name')}")


if __name__ == "__main__":
    main(sys.argv[1])
