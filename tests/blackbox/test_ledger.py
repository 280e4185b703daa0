"""The ledger oracle catches what it is there to catch."""

import dataclasses

import pytest

from harness.ledger import (ACCEPTED, APPEND, ECHO, REFUSED, UNKNOWN, Answer, Call, repeats,
                            violations)

ECHOED = Call("a", 1, ECHO, "a-1", ACCEPTED)
APPENDED = Call("a", 2, APPEND, "a-2", ACCEPTED)
FOREIGN = Call("b", 2, ECHO, "b-2", ACCEPTED)
CALLS = [ECHOED, APPENDED, FOREIGN]
ANSWERS = [Answer("a", 1, "a-1"), Answer("a", 2, "appended"), Answer("b", 2, "b-2")]
WRITTEN = ["a-2"]


def test_all_is_well():
    assert violations(CALLS, ANSWERS, WRITTEN) == []
    assert violations(CALLS, ANSWERS, None) == []
    assert repeats(ANSWERS) == 0


def test_unchanged_repeats_are_counted_and_no_violation():
    again = ANSWERS + ANSWERS[:2]
    assert violations(CALLS, again, WRITTEN) == []
    assert repeats(again) == 2


def test_calls_that_were_not_accepted_need_no_answer():
    for fate in (REFUSED, UNKNOWN):
        calls = [dataclasses.replace(call, fate=fate) for call in CALLS]
        assert violations(calls, [], []) == []
        assert violations(calls, ANSWERS, WRITTEN) == []


@pytest.mark.parametrize("answers, written, what", [
    (ANSWERS[1:], WRITTEN, "no answer"),
    ([*ANSWERS, Answer("a", 1, error="timeout")], WRITTEN, "more than one answer"),
    ([*ANSWERS, Answer("a", 2, "other")], WRITTEN, "more than one answer"),
    ([Answer("a", 1, error="timeout"), *ANSWERS[1:]], WRITTEN, "an error"),
    ([Answer("a", 1, "b-2"), *ANSWERS[1:]], WRITTEN, "somebody else's answer"),
    ([*ANSWERS, Answer("b", 1, "a-1")], WRITTEN, "not asked for on this session"),
    (ANSWERS, ["a-2", "a-2"], "ran 2 times"),
    (ANSWERS, ["a-2", "c-9"], "ran, but nobody asked"),
    (ANSWERS, [], "answered, but did not run"),
])
def test_each_violation_is_seen(answers, written, what):
    assert any(what in line for line in violations(CALLS, answers, written))


def test_an_error_may_be_the_one_answer_where_workers_die():
    answers = [*ANSWERS[:1], Answer("a", 2, error="outcome unknown"), ANSWERS[2]]
    assert violations(CALLS, answers, WRITTEN, may_fail=True) == []
    assert violations(CALLS, answers, [], may_fail=True) == []
    assert violations(CALLS, answers, ["a-2"] * 2, may_fail=True) != []
    assert violations(CALLS, answers, WRITTEN) != []


def test_records_with_an_id_used_twice_prove_nothing():
    assert violations([*CALLS, ECHOED], ANSWERS, WRITTEN) != []
