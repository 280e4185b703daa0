"""The ledger oracle: proves from records alone what became of every call.

Clients write down what they POSTed and what they heard; the conformance worker's
`ledger_append` writes each nonce to a file, synced, when it runs. Afterwards
`violations()` holds the records against each other: every accepted call has one
answer, no unsafe call ran twice, and nobody heard what another session asked.
"""

import collections
import dataclasses

ACCEPTED, REFUSED, UNKNOWN = "accepted", "refused", "unknown"
ECHO, APPEND = "conformance_echo", "conformance_ledger_append"


@dataclasses.dataclass(frozen=True)
class Call:
    """A POST. fate: what its status said; UNKNOWN when the connection broke."""

    session: str
    id: object
    tool: str
    nonce: str
    fate: str


@dataclasses.dataclass(frozen=True)
class Answer:
    """A response on a session's stream. text: of the result, else error is set."""

    session: str
    id: object
    text: str = None
    error: str = None


def repeats(answers):
    """How many answers came once more, unchanged."""
    return sum(count - 1 for count in collections.Counter(answers).values())


def violations(calls, answers, written, may_fail=False):
    """What should not be, as lines of text; empty when all is well.

    written: the lines of the ledger, None to leave it out. may_fail: an error
    counts as a call's one answer, as it does where workers are killed.
    """
    asked = {(call.session, call.id): call for call in calls}
    heard = collections.defaultdict(set)
    bad = []
    if len(asked) != len(calls):
        bad.append("a client used an id twice: its records prove nothing")
    for answer in answers:
        heard[answer.session, answer.id].add(answer)
    for key, found in heard.items():
        bad += _of_answers(asked.get(key), sorted(found, key=str), may_fail)
    bad += [f"no answer: {call}" for key, call in asked.items()
            if call.fate == ACCEPTED and key not in heard]
    if written is not None:
        bad += _of_ledger(calls, heard, written)
    return bad


def _of_answers(call, found, may_fail):
    """found: the answers to one id, without unchanged repeats."""
    if call is None:
        return [f"not asked for on this session: {answer}" for answer in found]
    bad = [f"more than one answer: {call} {found}"] if len(found) > 1 else []
    for answer in found:
        wanted = call.nonce if call.tool == ECHO else "appended"
        if answer.error is not None and not may_fail:
            bad.append(f"an error: {call} {answer}")
        elif answer.error is None and answer.text != wanted:
            bad.append(f"somebody else's answer: {call} {answer}")
    return bad


def _of_ledger(calls, heard, written):
    ran = set(written)
    appends = {call.nonce: call for call in calls if call.tool == APPEND}
    bad = [f"ran {count} times: {appends.get(nonce, nonce)}"
           for nonce, count in collections.Counter(written).items() if count > 1]
    bad += [f"ran, but nobody asked: {nonce}" for nonce in ran - set(appends)]
    for nonce, call in appends.items():
        answered = any(answer.error is None for answer in heard.get((call.session, call.id), ()))
        if answered and nonce not in ran:
            bad.append(f"answered, but did not run: {call}")
    return bad
