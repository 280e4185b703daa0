"""The checker of arguments beside an independent one: Debian's python3-jsonschema.

Random schemas of all keywords but unevaluated*, in which python3-jsonschema 4.10 is mistaken,
must say the same of random values. SCHEMA_SEED=<n> makes those of another run; SCHEMA_ROUNDS=<n> makes more of them.
"""

import json
import os
import pathlib
import random
import subprocess

import jsonschema
import pytest

from harness import ROOT, clean_environment

SEED = int(os.environ.get("SCHEMA_SEED", "20201204"))
ROUNDS = int(os.environ.get("SCHEMA_ROUNDS", "2000"))
VALUES_PER_SCHEMA = 8
DEPTH = 3
DIALECTS = {
    "http://json-schema.org/draft-07/schema#": jsonschema.Draft7Validator,
    "https://json-schema.org/draft/2020-12/schema": jsonschema.Draft202012Validator,
}
NAMES = ["a", "b", "c", "aa", "x-1", "ä"]
TEXTS = ["", "a", "b", "ab", "aab", "ä", "x-1", "Zz", "😀😀", "a\nb"]
NUMBERS = [0, 1, -1, 2, 3, 1.5, 0.1, 0.3, 100, 1e10, 12.5, -0.5]
PATTERNS = ["^a", "b$", "^[a-z]*$", ".", "^.{2}$", "a|ä", "^x-", "(a)(b)?"]
TYPES = ["null", "boolean", "object", "array", "number", "string", "integer"]


class Maker:
    """Makes schemas and values of one dialect."""

    def __init__(self, rng, new):
        self.rng, self.new = rng, new
        rows = [self.types, self.choices, self.numbers, self.texts, self.arrays, self.objects,
                self.names, self.dependent, self.several, self.negated, self.conditional,
                self.reference]
        self.rows = rows + ([self.contained] if new else [])

    def value(self, depth=DEPTH):
        kind = self.rng.randrange(8 if depth else 5)
        if kind >= 6:
            return {self.rng.choice(NAMES): self.value(depth - 1)
                    for _ in range(self.rng.randrange(4))}
        if kind == 5:
            return [self.value(depth - 1) for _ in range(self.rng.randrange(4))]
        return self.rng.choice([None, self.rng.random() < .5, self.rng.choice(NUMBERS),
                                self.rng.choice(TEXTS), self.rng.choice(TEXTS)])

    def schema(self, depth=DEPTH):
        if depth == 0 or self.rng.random() < .1:
            return self.rng.choice([True, {}, {"type": self.rng.choice(TYPES)}, True, False])
        out = {}
        for row in self.rng.sample(self.rows, self.rng.choice([1, 1, 2, 3])):
            out.update(row(depth - 1))
        return out

    def schemas(self, depth):
        return [self.schema(depth) for _ in range(self.rng.randrange(1, 4))]

    def some(self, make, least=0):
        return {name: make() for name in self.rng.sample(NAMES, self.rng.randrange(least, 4))}

    def one_of(self, *parts):
        """A few of these keywords, each (name, function)."""
        return {name: make() for name, make in self.rng.sample(
            parts, self.rng.randrange(1, min(3, len(parts)) + 1))}

    def count(self):
        return self.rng.randrange(4)

    def types(self, _):
        return {"type": self.rng.choice([self.rng.choice(TYPES), self.rng.sample(TYPES, 3)])}

    def choices(self, _):
        return self.one_of(("enum", lambda: [self.value(1) for _ in range(4)]),
                           ("const", lambda: self.value(1)))

    def numbers(self, _):
        return self.one_of(*((name, lambda: self.rng.choice(NUMBERS)) for name in (
            "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")),
            ("multipleOf", lambda: self.rng.choice([1, 2, 3, .5, 2.5])))

    def texts(self, _):
        return self.one_of(("minLength", self.count), ("maxLength", self.count),
                           ("pattern", lambda: self.rng.choice(PATTERNS)))

    def arrays(self, depth):
        parts = [("minItems", self.count), ("maxItems", self.count),
                 ("uniqueItems", lambda: True), ("items", lambda: self.schema(depth)),
                 ("contains", lambda: self.schema(depth))]
        if self.new:
            parts.append(("prefixItems", lambda: self.schemas(depth)))
        else:
            parts[3] = ("items", lambda: self.schemas(depth))
            parts.append(("additionalItems", lambda: self.schema(depth)))
        return self.one_of(*parts)

    def contained(self, depth):
        return {"contains": self.schema(depth), **self.one_of(
            ("minContains", self.count), ("maxContains", self.count))}

    def objects(self, depth):
        return self.one_of(
            ("properties", lambda: self.some(lambda: self.schema(depth))),
            ("required", lambda: self.rng.sample(NAMES, self.rng.randrange(3))),
            ("additionalProperties", lambda: self.schema(depth)),
            ("patternProperties", lambda: {self.rng.choice(PATTERNS): self.schema(depth)}),
            ("minProperties", self.count), ("maxProperties", self.count))

    def names(self, depth):
        return {"propertyNames": self.schema(min(depth, 1))}

    def dependent(self, depth):
        needed = self.some(lambda: self.rng.sample(NAMES, 2))
        schemas = self.some(lambda: self.schema(depth))
        if self.new:
            return {"dependentRequired": needed, "dependentSchemas": schemas}
        return {"dependencies": {**needed, **schemas}}

    def several(self, depth):
        return {self.rng.choice(["allOf", "anyOf", "oneOf"]): self.schemas(depth)}

    def negated(self, depth):
        return {"not": self.schema(depth)}

    def conditional(self, depth):
        return {"if": self.schema(depth), **self.one_of(
            ("then", lambda: self.schema(depth)), ("else", lambda: self.schema(depth)))}

    def reference(self, _):
        return {"$ref": self.rng.choice(["#/$defs/a", "#/$defs/b~1%C3%A4", "#named"])}

    def document(self, dialect):
        """References do not lead round in a circle: only one of the checkers would end."""
        rows = self.rows
        self.rows = [row for row in rows if row != self.reference]
        named = {"allOf": [self.schema(1)]}
        named.update({"$anchor": "named"} if self.new else {"$id": "#named"})
        defs = {"a": self.schema(2), "b/ä": self.schema(1), "c": named}
        self.rows = rows
        root = self.schema()
        return {"$schema": dialect, "$defs": defs, "allOf": [root]}


def says(validator, value):
    """Its verdict, or "?": it cannot sort values of several types for uniqueItems."""
    try:
        return "1" if validator.is_valid(value) else "0"
    except TypeError:
        return "?"


@pytest.fixture(scope="module", name="judge")
def build_judge(tmp_path_factory):
    variant = pathlib.Path(os.environ.get("OUT", "build/release")).name
    flags, libraries = subprocess.run(
        ["make", "-s", "--no-print-directory", f"VARIANT={variant}", "print-build"], cwd=ROOT,
        capture_output=True, text=True, check=True, env=clean_environment()).stdout.splitlines()
    program = tmp_path_factory.mktemp("schema") / "judge"
    subprocess.run(f"{flags} -Werror tests/schema/judge.c {libraries} -o {program}",
                   shell=True, cwd=ROOT, check=True)
    return program


@pytest.mark.parametrize("dialect", DIALECTS, ids=["draft-07", "2020-12"])
def test_both_say_the_same(judge, dialect):
    print(f"SCHEMA_SEED={SEED} SCHEMA_ROUNDS={ROUNDS}")
    maker = Maker(random.Random(SEED), new="2020-12" in dialect)
    rows = [{"schema": maker.document(dialect),
             "values": [maker.value() for _ in range(VALUES_PER_SCHEMA)]} for _ in range(ROUNDS)]
    lines = subprocess.run([judge], input="".join(json.dumps(row) + "\n" for row in rows),
                           stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    assert len(lines) == len(rows)
    fitting = 0
    for row, line in zip(rows, lines):
        validator = DIALECTS[dialect](row["schema"])
        wanted = "".join(says(validator, value) for value in row["values"])
        line = "".join("?" if other == "?" else own for own, other in zip(line, wanted))
        assert line == wanted, json.dumps(row)
        fitting += wanted.count("1")
    share = fitting / (ROUNDS * VALUES_PER_SCHEMA)
    assert .2 < share < .8, f"{share:.0%} fit: too one-sided to tell"
