"""The checker of arguments beside JSON-Schema-Test-Suite: `make schema-suite SUITE=<dir>`.

    suite.py JUDGE DIR

DIR is a clone of github.com/json-schema-org/JSON-Schema-Test-Suite. Printed, by draft: how
many of its required tests come out as they should, and which do not. The checker lets
through what it cannot know (a reference to elsewhere, a dialect of one's own), so most that
differ are values that it takes. The exit code is 1 when it refuses one that it should
take, but for $vocabulary, which it does not read.
"""

import json
import pathlib
import subprocess
import sys

# Schemas that do not name their dialect: for MCP it is the first.
DRAFTS = {"draft2020-12": "https://json-schema.org/draft/2020-12/schema",
          "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
          "draft7": "http://json-schema.org/draft-07/schema#",
          "draft6": "http://json-schema.org/draft-06/schema#",
          "draft4": "http://json-schema.org/draft-04/schema#"}
KNOWN = "vocabulary.json"


def groups_of(directory):
    """(file's name, group of tests) of all required ones."""
    return [(path.name, group) for path in sorted(directory.glob("*.json"))
            for group in json.loads(path.read_text())]


def named(schema, dialect):
    return {"$schema": dialect} | schema if isinstance(schema, dict) else schema


def judged(judge, groups, dialect):
    """A line of the judge's for each group."""
    rows = [{"schema": named(group["schema"], dialect),
             "values": [test["data"] for test in group["tests"]]}
            for _, group in groups]
    lines = subprocess.run([judge], input="".join(json.dumps(row) + "\n" for row in rows),
                           stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    assert len(lines) == len(rows)
    return lines


def differing(groups, lines):
    """(total, what differs as (file, description, whether the value should fit))."""
    total, found = 0, []
    for (name, group), line in zip(groups, lines):
        total += len(group["tests"])
        said = line if set(line) <= {"0", "1"} else "?" * len(group["tests"])
        found += [(name, f"{group['description']}: {test['description']}", test["valid"])
                  for test, one in zip(group["tests"], said) if one != "01"[test["valid"]]]
    return total, found


def main():
    judge, directory = sys.argv[1], pathlib.Path(sys.argv[2])
    refused = 0
    for draft, dialect in DRAFTS.items():
        groups = groups_of(directory / "tests" / draft)
        total, found = differing(groups, judged(judge, groups, dialect))
        for name, text, valid in found:
            print(f"  {'refused' if valid else 'taken'}: {draft}/{name}: {text}")
        print(f"{draft}: {total - len(found):,} of {total:,} alike")
        refused += sum(valid and name != KNOWN for name, _, valid in found)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
