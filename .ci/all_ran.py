"""Fails where tests whose module's name begins as given were skipped, or where there were none.

all_ran.py RESULTS.xml PREFIX…
"""

import sys
from xml.etree import ElementTree


def main(results: str, *prefixes: str) -> None:
    cases = list(ElementTree.parse(results).iter("testcase"))
    for prefix in prefixes:
        mine = [case for case in cases if case.get("classname", "").startswith(prefix)]
        skipped = [case.get("name") for case in mine if case.find("skipped") is not None]
        if not mine or skipped:
            raise SystemExit(f"{prefix}: {len(mine)} tests, of which skipped: {skipped}")


if __name__ == "__main__":
    main(*sys.argv[1:])
