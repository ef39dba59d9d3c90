"""Modified UTF-7 of RFC 3501, 5.1.3: an implementation of its own, so that the product's is checked."""

import base64


def encode(text):
    out, run = [], []

    def flush():
        if run:
            raw = "".join(run).encode("utf-16-be")
            out.append("&" + base64.b64encode(raw).decode().rstrip("=").replace("/", ",") + "-")
            run.clear()

    for c in text:
        if " " <= c <= "~":
            flush()
            out.append("&-" if c == "&" else c)
        else:
            run.append(c)
    flush()
    return "".join(out)


def decode(text):
    out, at = [], 0
    while at < len(text):
        c = text[at]
        if c != "&":
            out.append(c)
            at += 1
            continue
        end = text.index("-", at)
        body = text[at + 1:end]
        if body:
            raw = base64.b64decode(body.replace(",", "/") + "=" * (-len(body) % 4))
            out.append(raw.decode("utf-16-be"))
        else:
            out.append("&")
        at = end + 1
    return "".join(out)
