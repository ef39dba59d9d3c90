"""Validation of whole envelopes against Microsoft's schemas, where these are at hand."""

import functools
import os
import subprocess
import tempfile
import threading

SET = "exchange-se-15.2.2562.17"


def directory():
    """The folder of the schemas, or None: below $MS_SHARED, or below ../shared of the project."""
    root = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
    for base in (os.environ.get("MS_SHARED"), os.path.join(root, "..", "shared")):
        path = base and os.path.join(base, "data", "ews", SET)
        if path and os.path.exists(os.path.join(path, "ews-all.xsd")):
            return path
    return None


class Schema:
    """check(bytes) gives None, or (line, what is wrong)."""

    def __init__(self, path):
        self.file = os.path.join(path, "ews-all.xsd")
        self.lock = threading.Lock()
        try:
            from lxml import etree
        except ImportError:
            self.etree = None
            self.how = "xmllint"
        else:
            self.etree = etree
            self.how = "lxml"
            self.schema = etree.XMLSchema(etree.parse(self.file))

    def check(self, data):
        return self._lxml(data) if self.etree else self._xmllint(data)

    def _lxml(self, data):
        parser = self.etree.XMLParser(huge_tree=True, resolve_entities=False, no_network=True)
        root = self.etree.fromstring(data, parser)
        with self.lock:
            if self.schema.validate(root):
                return None
            first = self.schema.error_log[0]
            return first.line, first.message

    def _xmllint(self, data):
        with tempfile.NamedTemporaryFile(suffix=".xml") as f:
            f.write(data)
            f.flush()
            r = subprocess.run(["xmllint", "--noout", "--nonet", "--huge", "--schema", self.file, f.name],
                               capture_output=True, text=True)
        if r.returncode == 0:
            return None
        text = r.stderr.strip().split("\n")[0]
        parts = text.split(":", 2)
        return (int(parts[1]) if len(parts) > 2 and parts[1].isdigit() else 0), text[len(f.name):]


@functools.lru_cache(None)
def load():
    """A Schema, or None if there is nothing to validate with."""
    path = directory()
    return Schema(path) if path else None
