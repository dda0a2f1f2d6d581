"""Guardrails as code: files are read strictly, every error stands at its line and field, the published schema says the same."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from approvals.errors import BadGuardrail, BadGuardrailFile
from approvals.operations.facts import RISK_CLASSES
from approvals.policies import files, marked, rules_from, schema
from approvals.policies.marked import BadYaml
from approvals.policies.shapes import Misfit

DOCS = Path(__file__).parents[3] / "docs"
TEXT = """\
schema: countersign/guardrails/1
guardrails:
  - name: tables                       # line 3
    description: Tables of production.
    accounts: ["111122223333"]
    operations:
      - dynamodb:DeleteTable
      - dynamodb:UpdateTable           # line 8
    conditions:
      - parameter: DeletionProtectionEnabled
        is: false
    approvals: 1                       # line 12
    windows:
      - days: [mon, fri]
        from: 22:00
        to: 06:00                      # line 16
        zone: Europe/Berlin
  - name: keys
    accounts: ["*"]
    operations: [kms:ScheduleKeyDeletion]
    approvals: 2                       # line 21
"""


def problems(text):
    with pytest.raises(BadGuardrailFile) as refusal:
        files.read(text, "g.yaml")
    return [(one.line, one.field) for one in refusal.value.problems]


def test_a_file_is_read_with_the_line_of_everything():
    """Times, numbers and truths are what was written, and each field knows its line."""
    found = files.read(TEXT, "g.yaml")
    assert [rules.name for rules in found.rules] == ["tables", "keys"]
    assert found.rules[0].windows[0].begins == "22:00"
    assert found.rules[0].conditions[0].value is False
    assert found.line(0) == 3
    assert found.line(0, ("operations", 1)) == 8
    assert found.line(0, ("windows", 0, "to")) == 16
    assert found.line(1, ("resources",)) == 18


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("approvals: 1 ", "approvals: 0 ", [(12, "guardrails[0].approvals")]),
        ("to: 06:00", "to: 6:00", [(16, "guardrails[0].windows[0].to")]),
        ("description:", "descripton:", [(4, "guardrails[0].descripton")]),
        ("    approvals: 2", "    quorum: 2", [(21, "guardrails[1].quorum")]),
        ("    approvals: 2", "    mode: enforce", [(18, "guardrails[1].approvals")]),
        ("name: keys", "name: tables", [(18, "guardrails[1].name")]),
        ("guardrails/1", "guardrails/2", [(1, "schema")]),
        ("schema: countersign/guardrails/1", "", [(2, "schema")]),
        ("schema:", "owner: x\nschema:", [(1, "owner")]),
        ("    description:", "    name: other\n    description:", [(4, "guardrails[0]")]),
        ("[mon, fri]", "[mon, fri", [(15, "")]),
        ("is: false", "is: !!python/name:os.system x", [(11, "guardrails[0].conditions[0].is")]),
        ("is: false", "is: \0", [(11, "")]),
        ("is: false", "? [a]\n        : b", [(11, "guardrails[0].conditions[0]")]),
    ],
)
def test_an_error_names_line_and_field(before, after, expected):
    """Whoever wrote the file is led to the place."""
    assert before in TEXT
    assert problems(TEXT.replace(before, after)) == expected


def test_every_guardrail_that_is_wrong_is_told_at_once():
    """One error does not hide the others."""
    text = TEXT.replace("approvals: 1 ", "approvals: x ").replace("approvals: 2", "approvals: 99").replace("/1", "/0")
    assert problems(text) == [(1, "schema"), (12, "guardrails[0].approvals"), (21, "guardrails[1].approvals")]


def test_a_problem_reads_as_a_line():
    """File, line, field, and what belongs there."""
    with pytest.raises(BadGuardrailFile) as refusal:
        files.read(TEXT.replace('["111122223333"]', "[111122223333]"), "g.yaml")
    said = "Guardrail tables: accounts[0] is a text, not 111122223333; write it in quotes."
    assert str(refusal.value) == f"g.yaml, line 5, guardrails[0].accounts[0]: {said}"


@pytest.mark.parametrize("text", ["", "[]", "a", "schema: countersign/guardrails/1\nguardrails: []", "{" * 500, "[" * 5000])
def test_what_is_no_guardrails_file_is_refused(text):
    """Nothing, another kind of document, no guardrail at all, and brackets without end."""
    assert problems(text)


def test_an_alias_that_unfolds_to_too_much_is_refused():
    """A small file does not fill the memory."""
    text = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefg", "bcdefgh", strict=True)
    )
    with pytest.raises(BadYaml, match="unfolds"):
        marked.load(text)
    with pytest.raises(BadYaml, match="deeply"):
        marked.load("a: &a [*a]")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("22:00", "22:00"),
        ("012", "012"),
        ("no", "no"),
        ("2026-12-20", "2026-12-20"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("7", 7),
        ("-7", -7),
        ("1.5", 1.5),
        ("true", True),
        ("", None),
        ('"true"', "true"),
        ("'7'", "7"),
    ],
)
def test_a_scalar_is_what_was_written(written, value):
    """YAML's guesses (minutes, octals, dates, a no that is false) are none of ours."""
    found = marked.load(f"a: {written}").value["a"]
    assert found == value
    assert type(found) is type(value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text("ab: #-'\n", max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab:", min_size=1, max_size=3), inner, max_size=3),
        max_leaves=8,
    )
)
def test_what_is_dumped_is_read_back(value):
    """The strict reader reads what an ordinary writer writes."""
    assert marked.load(yaml.safe_dump(value)).value == value


def test_the_published_schema_is_the_readers():
    """docs/guardrails.schema.json is written from the declarations that files are read by: `python -m approvals.policies`."""
    assert (DOCS / "guardrails.schema.json").read_text() == schema.as_text()
    jsonschema.Draft202012Validator.check_schema(schema.json_schema())


def _pattern(validator, pattern, instance, _schema):
    """JSON schema's `$` is the end of the text; Python's also stands before a last newline."""
    if validator.is_type(instance, "string") and not re.search(f"{pattern.removesuffix('$')}\\Z", instance):
        yield jsonschema.ValidationError("no match")


VALIDATOR = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": _pattern})(schema.json_schema())
# What a schema cannot say, and the reader does.
BEYOND = re.compile(r"calendar|beginning, not|time zone|reason would satisfy|alternatives|white space|written down")

names = st.sampled_from(["tables", "t1", "T", "", "a\n", "a" * 64, 7])
patterns = st.lists(st.sampled_from(["*", "x", "", 7, None]), max_size=2) | st.sampled_from(["*", None])
numbers = st.sampled_from([0, 1, 20, 21, 60, 3600, -1, True, "1", 1.5, None, 2**53, 10**9])
flags = st.sampled_from([True, False, 0, "true", None])
words = st.sampled_from(["", "x", "OPS-#", "a b", "|", "a\n", "x" * 201, 7, "\ud800", "\x01"])
zones = st.sampled_from(["Europe/Berlin", "UTC", "Mars/X", "", "../x", 7])
clock_times = st.sampled_from(["22:00", "00:00", "24:00", "6:00", "25:00", "22:00\n", 1320])
local_times = st.sampled_from(["2026-12-20", "2026-12-20T06:00", "2026-02-30", "2026-12-20T24:00", "20-1-1", "0000-01-01", 7])


def objects(**fields):
    """Objects with most of the fields, sometimes one that is not known."""
    return st.fixed_dictionaries(
        {}, optional={name.rstrip("_"): values for name, values in fields.items()} | {"colour": st.just(1)}
    ) | st.sampled_from([[], None])


conditions = objects(
    parameter=st.sampled_from(["Force", "A.B", "A..B", "", 7]),
    is_=words | numbers,
    is_not=flags,
    matches=words,
    at_least=numbers,
    present=flags,
    absent=flags,
    **{"in": st.lists(words | numbers, max_size=2)},
)
windows = objects(
    days=st.lists(st.sampled_from(["mon", "sun", "monday", 1]), max_size=2), to=clock_times, zone=zones, **{"from": clock_times}
)
freezes = objects(until=local_times, zone=zones, why=words, **{"from": local_times})
group_names = st.sampled_from(["dba", "", "x" * 151])
guardrails = objects(
    schema=st.sampled_from(["countersign/guardrail/1", "x"]),
    name=names,
    description=words,
    mode=st.sampled_from(["enforce", "observe", "off", True]),
    accounts=patterns,
    account_tags=st.dictionaries(group_names, patterns, max_size=2) | st.just([]),
    regions=patterns,
    operations=patterns,
    resources=patterns,
    risk=st.lists(st.sampled_from([*RISK_CLASSES, "x", 1]), max_size=2),
    families=st.lists(st.sampled_from(["rds-loss", "Rds", "", "a--b"]), max_size=2),
    conditions=st.lists(conditions, max_size=2),
    approvals=numbers,
    groups=st.dictionaries(group_names, numbers, max_size=2),
    reason=flags,
    ticket=words,
    unconfirmed=flags,
    clocks=objects(draft=numbers, pending=numbers, approval=numbers),
    irreversible=objects(extra_approvals=numbers, typed_name=flags, hold=numbers),
    windows=st.lists(windows, max_size=2),
    freezes=st.lists(freezes, max_size=2),
    break_glass=objects(groups=st.lists(group_names, max_size=2), review_within=numbers),
    delegation=flags,
)
PLAIN = {"name": "tables", "accounts": ["*"], "operations": ["*"], "approvals": 1}


def refusal_of(read, error):
    """What the reader says against it; empty when it accepts it."""
    try:
        read()
    except error as refusal:
        return str(refusal)
    return ""


def agree(guardrail):
    """The schema accepts the guardrail when the reader does, and the reader when the schema does and its meaning holds."""
    document = {"schema": schema.FILE_SCHEMA, "guardrails": [guardrail]}
    accepted = VALIDATOR.is_valid(document)
    misfit = refusal_of(lambda: schema.FILE.check(document, ()), Misfit)
    assert accepted == (not misfit), misfit
    refusal = refusal_of(lambda: rules_from(guardrail), BadGuardrail)
    assert accepted == (not refusal) or (accepted and BEYOND.search(refusal)), refusal


@settings(max_examples=300, deadline=None)
@given(guardrails)
def test_the_schema_accepts_what_the_reader_accepts(guardrail):
    """Whatever is made up: both accept it or both refuse it, but for dates, zones and tickets, which a schema cannot know."""
    agree(guardrail)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_the_schema_and_the_reader_agree_on_one_field_at_a_time(data):
    """A guardrail that is right but for one field, so that no other error hides what is said of it."""
    field = data.draw(st.sampled_from(sorted(schema.GUARDRAIL.fields)))
    other = data.draw(guardrails)
    if isinstance(other, dict) and field in other:
        agree(PLAIN | {field: other[field]})


@pytest.mark.parametrize("document", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_every_guardrails_file_in_the_docs_can_be_read(document):
    """What operators copy works, for the reader and for an editor with the schema."""
    for text in re.findall(r"```yaml\n(schema: countersign/guardrails/1\n.*?)```", document.read_text(), re.DOTALL):
        files.read(text, document.name)
        assert VALIDATOR.is_valid(json.loads(json.dumps(marked.load(text).value)))
