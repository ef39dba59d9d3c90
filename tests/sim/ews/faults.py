"""Failures that tests order: of requests, of single elements, of connections.

A rule is a dict:
  kind     busy (fault ErrorServerBusy with `backoff` ms), busy-message (the same as HTTP 200), http (status
           `status`), fault (SOAP fault `code`), error (one element is answered `code`), batch-stop (one element is
           answered `code`, those after it ErrorBatchProcessingStopped), drop-before, drop-after (the connection is
           cut before or after an element was carried out), mute (it is carried out and not answered), drop (cut before anything), delay (`seconds`),
           late (it is carried out `seconds` later, whatever became of the client; `cut`: whose connection is cut at once),
           meanwhile (`ask`, a control verb: another client is faster than this request)
  op       name of the operation, default all;  mailbox: only requests for this one
  after    this many matching requests (or elements, for the kinds that are of elements) pass first
  times    how often it strikes, default 1; 0 = until it is removed
"""

import time

from soap import EwsError, Fault

OF_ELEMENTS = ("error", "batch-stop", "drop-before", "drop-after", "mute")


class Drop(Exception):
    """Cut the connection without an answer."""


class Mute(Exception):
    """Say nothing of this element."""


class Status(Exception):
    """Answer with an HTTP status of the proxies before Exchange."""

    def __init__(self, status, headers=(), body=b""):
        super().__init__(status)
        self.status, self.headers, self.body = status, list(headers), body


class Stop(EwsError):
    """This element fails, and the rest of the batch is not processed."""


class Late(Exception):
    """The request is carried out later."""

    def __init__(self, seconds, cut):
        super().__init__(seconds)
        self.seconds, self.cut = seconds, cut


class Faults:
    def __init__(self):
        self.rules, self.struck = [], []

    def add(self, rule):
        rule = dict(rule)
        rule.setdefault("after", 0)
        rule.setdefault("times", 1)
        self.rules.append(rule)

    def _hit(self, op, box, kinds):
        for rule in list(self.rules):
            if rule["kind"] not in kinds or rule.get("op", op) != op:
                continue
            if rule.get("mailbox") and (box is None or box.address.lower() != rule["mailbox"].lower()):
                continue
            if rule["after"] > 0:
                rule["after"] -= 1
                continue
            if rule["times"]:
                rule["times"] -= 1
                if not rule["times"]:
                    self.rules.remove(rule)
            self.struck.append({"kind": rule["kind"], "op": op, "at": time.time()})
            return rule
        return None

    def request(self, op, box):
        """Strikes a whole request, before anything is done. Gives what another client asks before, or None."""
        rule = self._hit(op, box, ("busy", "http", "fault", "drop", "delay", "late", "meanwhile"))
        if rule is None:
            return None
        kind = rule["kind"]
        if kind == "delay":
            time.sleep(rule["seconds"])
        elif kind == "late":
            raise Late(rule["seconds"], rule.get("cut", False))
        elif kind == "meanwhile":
            return dict(rule["ask"])
        elif kind == "drop":
            raise Drop()
        elif kind == "http":
            body = rule.get("body", "<html>Server Error in '/EWS' Application.</html>").encode()
            raise Status(rule["status"], [(n, v) for n, v in rule.get("headers", {}).items()], body)
        elif kind == "busy":
            raise Fault("ErrorServerBusy", values={"BackOffMilliseconds": rule.get("backoff", 1000)},
                        http=rule.get("status", 500))
        else:
            raise Fault(rule["code"], rule.get("text"), values=rule.get("values"), http=rule.get("status", 500))
        return None

    def whole(self, op, box):
        """An error for all elements of this request, answered with HTTP 200."""
        rule = self._hit(op, box, ("busy-message",))
        return rule and EwsError("ErrorServerBusy", values={"BackOffMilliseconds": rule.get("backoff", 1000)})

    def element(self, op, box):
        """Before an element: raises, or gives what to do after it was carried out."""
        rule = self._hit(op, box, OF_ELEMENTS)
        if rule is None:
            return None
        if rule["kind"] == "drop-before":
            raise Drop()
        if rule["kind"] in ("drop-after", "mute"):
            return Drop() if rule["kind"] == "drop-after" else Mute()
        make = Stop if rule["kind"] == "batch-stop" else EwsError
        raise make(rule.get("code", "ErrorInternalServerTransientError"), rule.get("text"))
