"""One answer per element of a request, and what stops a batch."""

from faults import Mute, Stop
from soap import EwsError, failure, success

# After such an error nothing of the batch is tried any more.
STOPPING = ("ErrorMailboxStoreUnavailable", "ErrorMailboxMoveInProgress", "ErrorServerBusy")


def run(call, op, things, one, *empty, box=None):
    """one(thing) gives the children of its response message. `empty`: names of children of error answers."""
    out, stopped = [], False
    whole = call.org.faults.whole(op, box or call.own)
    for thing in things:
        if stopped:
            out.append(failure(op, EwsError("ErrorBatchProcessingStopped", cls="Warning"), *empty))
            continue
        try:
            if whole:
                raise whole
            then = call.org.faults.element(op, box or call.own)
            answer = success(op, *one(thing))
            if then:
                raise then
            out.append(answer)
        except Mute:
            pass
        except EwsError as e:
            stopped = isinstance(e, Stop) or e.code in STOPPING
            out.append(failure(op, e, *empty))
    return out
