"""mailshadow-metrics: a scrape of a real pool, read by a strict reader, against `mailshadow status`."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

import corpus
import product
from servers import ports

pytestmark = pytest.mark.product

EXPORTER = os.path.join(product.BUILD, "mailshadow-metrics")
STALE = 1.1                  # the exporter asks the supervisor once a second at most


def plain(n, folder="INBOX", size=400):
    return corpus.one(n, folder=folder, size=size)


# --- reading the format ----------------------------------------------------------------------------------------

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(r"(%s)(?:\{(%s(?:,%s)*)\})? (-?[0-9]+(?:\.[0-9]+)?)" % (NAME, LABEL, LABEL))


class Scrape:
    """Text format 0.0.4, read without mercy: HELP, TYPE, then the samples of that family, no series twice."""

    def __init__(self, text):
        self.types, self.samples, self.text = {}, {}, text
        assert text.endswith("\n")
        family = helped = None
        for line in text[:-1].split("\n"):
            if line.startswith("# HELP "):
                helped = line.split(" ", 3)[2]
                assert line.split(" ", 3)[3] and helped not in self.types, line
            elif line.startswith("# TYPE "):
                _, _, family, kind = line.split(" ")
                assert family == helped and kind in ("counter", "gauge", "histogram"), line
                assert (kind == "counter") == family.endswith("_total"), line
                self.types[family] = kind
            else:
                m = SAMPLE.fullmatch(line)
                assert m, "not a sample: " + line
                name, labels, value = m.groups()
                base = re.sub(r"_(bucket|sum|count)$", "", name) if self.types.get(family) == "histogram" else name
                assert base == family, "%s stands among %s" % (name, family)
                key = (name, tuple(sorted(re.findall(LABEL, labels or ""))))
                assert key not in self.samples, line
                self.samples[key] = float(value)
        for family, kind in self.types.items():
            assert family.startswith("mailshadow_")
            if kind == "histogram":
                self.check_histogram(family)

    def check_histogram(self, family):
        buckets = [(labels[0], v) for (name, labels), v in self.samples.items() if name == family + "_bucket"]
        bounds = [float(x.split('"')[1].replace("+Inf", "inf")) for x, _ in buckets]
        assert bounds == sorted(bounds) and bounds[-1] == float("inf")
        counts = [v for _, v in buckets]
        assert counts == sorted(counts) and counts[-1] == self.value(family + "_count")

    def value(self, name, **labels):
        return self.samples[(name, tuple(sorted('%s="%s"' % x for x in labels.items())))]

    def get(self, name, **labels):
        return self.value("mailshadow_" + name, **labels)

    def all(self, name):
        return {labels: v for (n, labels), v in self.samples.items() if n == "mailshadow_" + name}


def test_the_strict_reader_is_strict():
    good = "# HELP mailshadow_x y\n# TYPE mailshadow_x gauge\nmailshadow_x 1\n"
    Scrape(good)
    for bad in (good[:-1], good + "mailshadow_x 1\n", good + "mailshadow_y 1\n", good.replace("gauge", "counter"),
                good.replace("x 1", "x one"), good.replace("# HELP mailshadow_x y\n", ""), good + good):
        with pytest.raises(AssertionError):
            Scrape(bad)


# --- the exporter ----------------------------------------------------------------------------------------------

class Exporter:
    def __init__(self, config, *args, listen=None):
        self.port = ports.free()[0]
        self.listen = listen or "127.0.0.1:%d" % self.port
        self.log = os.path.join(config.dir, "metrics.out")
        with open(self.log, "wb") as out:
            self.p = subprocess.Popen([EXPORTER, "--socket", os.path.join(config.runtime, "control/socket"),
                                       "--listen", self.listen, *args], stdin=subprocess.DEVNULL, stdout=out,
                                      stderr=out, env=product.environment())

    def __enter__(self):
        end = time.monotonic() + 10
        while time.monotonic() < end:
            assert self.p.poll() is None, open(self.log).read()
            if "listens on" in open(self.log).read():
                return self
            time.sleep(0.02)
        raise AssertionError("the exporter does not listen")

    def __exit__(self, *_):
        if self.p.poll() is None:
            self.p.kill()
            self.p.wait()

    def get(self, path="/metrics", method="GET", body=None):
        r = urllib.request.Request("http://127.0.0.1:%d%s" % (self.port, path), method=method, data=body)
        with urllib.request.urlopen(r, timeout=20) as f:
            return f.status, f.headers, f.read().decode()

    def scrape(self):
        return Scrape(self.get()[2])


def run(*args, **how):
    return product.run([EXPORTER, *args], **how)


def local_pairs(make, names, **gateway):
    config = make.config(LastSyncTimeInterval="60m", **gateway)
    boxes = {}
    for name in names:
        a, left = make.box(config, "left", "local", endpoint="left-" + name)
        b, right = make.box(config, "right", "local", endpoint="right-" + name)
        config.pairing(name, left, right)
        boxes[name] = (a, b)
    config.write()
    return config, boxes


def all_done(status):
    return all(p["status"] in ("Success", "Failure") and p["state"] != "Synchronizing" for p in status["pairings"])


def test_figures_of_a_real_pool(make):
    """Every figure that `status --json` also has is the same there; the rest is what the test did."""
    config, boxes = local_pairs(make, ["alice", "bob", "carol", "dave"])
    mailbox = os.path.dirname(boxes["dave"][0].root)
    shutil.rmtree(mailbox)
    with open(mailbox, "w"):             # a file where the mailbox should be: this one fails
        pass
    items = [plain(n, size=500 + n) for n in range(7)]
    boxes["alice"][0].put(*items[:5])
    boxes["bob"][1].put(*items[5:])
    with config.daemon() as d, Exporter(config) as x:
        d.wait_ready()
        d.wait(all_done, what="the end of all first passes")
        time.sleep(STALE)
        status, s = config.status(), x.scrape()
        words = [p["status"] for p in status["pairings"]]
        states = [p["state"] for p in status["pairings"]]
        assert sorted(words) == ["Failure", "Success", "Success", "Success"]
        for word in ("Unknown", "Initial Sync", "Success", "Failure"):
            assert s.get("pairings_by_status", status=word) == words.count(word)
        for word in ("Synchronizing", "Active", "Pending Credentials", "Stopped"):
            assert s.get("pairings_by_state", state=word) == states.count(word)
        pool = status["pool"]
        for name, key in (("worker_slots", "slots"), ("queue_length", "queue"), ("pool_restarts_total", "restarts"),
                          ("logon_failures_in_a_row", "logonFailures"), ("logon_failures_threshold", "threshold")):
            assert s.get(name) == pool[key], name
        assert s.get("held_items") == sum(p["held"] for p in status["pairings"]) == 0
        assert s.get("quarantined_items") == sum(p["quarantined"] for p in status["pairings"])
        assert s.get("pairings") == 4 and s.get("pairings_without_success") == 1
        assert s.get("config_generation") == status["service"]["configGeneration"]
        assert 0 <= s.get("oldest_success_age_seconds") < 60
        assert abs(s.get("start_time_seconds") - time.time()) < 60

        failed = next(p for p in status["pairings"] if p["status"] == "Failure")["result"]
        assert s.get("passes_total", result="ok") == 3 and s.get("passes_total", result=failed) == 1
        assert sum(s.all("passes_total").values()) == s.get("pass_duration_seconds_count") == 4
        assert s.get("start_lateness_seconds_count") == 4
        assert s.get("changes_total", change="created") == 7
        assert s.get("written_items_total", side="right") == 5 and s.get("written_items_total", side="left") == 2
        sent = sum(len(i.body) for i in items[:5])
        assert s.get("written_bytes_total", side="right") == sent
        assert s.get("logons_total", outcome="ok") >= 6
        assert s.get("workers_started_total") >= 1 and s.get("workers_killed_total") == 0
        memory = s.all("worker_peak_memory_bytes")
        assert memory and all(1 << 20 < v < 1 << 30 for v in memory.values())
        assert not [k for k in s.samples if "alice" in str(k)], "the name of a pairing is a label"

        boxes["carol"][0].put(plain(100))
        assert config.ctl("sync", "carol").rc == 0
        d.wait(lambda st: boxes["carol"][1].read().count() == 1)
        d.wait(all_done)
        time.sleep(STALE)
        t = x.scrape()
        assert t.get("passes_total", result="ok") == 4 and t.get("changes_total", change="created") == 8
        for key, value in s.samples.items():          # what is a counter never falls
            if key[0].endswith("_total") or key[0].endswith("_bucket"):
                assert t.samples[key] >= value, key
        assert d.stop() == 0


def test_another_reader_agrees(make):
    parser = pytest.importorskip("prometheus_client.parser",
                                 reason="python3-prometheus-client is not installed (scripts/bootstrap tests)")
    config, _ = local_pairs(make, ["p"])
    with config.daemon() as d:
        d.wait_ready()
        d.wait(all_done)
        r = run("--socket", d.socket(), "--print")
        assert r.rc == 0, r
        mine = Scrape(r.out)
        theirs = {}
        for family in parser.text_string_to_metric_families(r.out):
            assert family.documentation and family.type != "unknown", family
            for one in family.samples:
                theirs[(one.name, tuple(sorted('%s="%s"' % x for x in one.labels.items())))] = one.value
        assert theirs == mine.samples
        assert d.stop() == 0


def test_names_only_if_asked_for(make):
    config, boxes = local_pairs(make, ["alice", "bob"])
    boxes["alice"][0].put(plain(1))
    with config.daemon() as d, Exporter(config, "--per-pairing") as x:
        d.wait_ready()
        d.wait(all_done)
        time.sleep(STALE)
        s = x.scrape()
        assert s.get("pairing_failing", pairing="alice") == 0
        rows = {p["name"]: p for p in config.status()["pairings"]}
        for name, row in rows.items():
            assert s.get("pairing_held_items", pairing=name) == row["held"]
            assert s.get("pairing_items_todo", pairing=name) == row["items"]["todo"]
            assert s.get("pairing_failures_in_a_row", pairing=name) == row["failures"]
        assert d.stop() == 0


def test_series_do_not_grow_with_pairings(make):
    """Two pairings or ten: the same series, but for the worker slots that were in use."""
    counts = []
    config, boxes = local_pairs(make, ["p%d" % n for n in range(10)])
    rest = dict(list(config.pairings.items())[2:])
    for name in rest:
        del config.pairings[name]
    config.write()
    with config.daemon() as d:
        d.wait_ready()
        for more in ({}, rest):
            config.pairings.update(more)
            config.write()
            assert config.ctl("reload").rc == 0
            d.wait(lambda s: len(s["pairings"]) == len(config.pairings) and all_done(s))
            s = Scrape(run("--socket", d.socket(), "--print").out)
            assert s.get("pairings") == len(config.pairings)
            counts.append({k for k in s.samples if "slot=" not in str(k)})
        assert counts[0] == counts[1]
        assert s.get("reloads_total", outcome="ok") == 2
        assert d.stop() == 0


def test_supervisor_down_and_up_again(make):
    config, _ = local_pairs(make, ["p"])
    with Exporter(config) as x:
        s = x.scrape()
        assert s.samples == {("mailshadow_up", ()): 0}
        with config.daemon() as d:
            d.wait_ready()
            time.sleep(STALE)
            assert x.scrape().get("up") == 1
            os.kill(d.p.pid, signal.SIGSTOP)
            try:
                time.sleep(STALE)
                t = time.monotonic()
                assert x.scrape().get("up") == 0
                assert 4 < time.monotonic() - t < 8
            finally:
                os.kill(d.p.pid, signal.SIGCONT)
            time.sleep(STALE)
            assert x.scrape().get("up") == 1
            assert d.stop() == 0
        x.p.terminate()
        assert x.p.wait(5) == 0
        log = open(x.log).read()
        assert log.count("answers again") == 2 and "does not answer" in log, log
    assert run("--socket", "/nonexistent/socket", "--print").rc == 1


def test_only_this_machine(make):
    config, _ = local_pairs(make, ["p"])
    for where in ("0.0.0.0:9774", "192.0.2.1:9774", "[::]:9774", "[2001:db8::1]:9774"):
        r = run("--listen", where)
        assert r.rc == 2 and "--allow-remote" in r.err, r
    for where in ("localhost:9774", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "[::1", "unix:relative", ""):
        r = run("--listen", where)
        assert r.rc == 2, r
    with Exporter(config, "--allow-remote", listen="0.0.0.0:%d" % ports.free()[0]):
        pass


def test_socket_in_the_file_system(make):
    config, _ = local_pairs(make, ["p"])
    path = os.path.join(config.dir, "m")
    for _ in range(2):                   # the second time over what the first left behind
        with Exporter(config, listen="unix:" + path):
            assert os.stat(path).st_mode & 0o777 == 0o660
            c = http.client.HTTPConnection("localhost")
            c.sock = socket.socket(socket.AF_UNIX)
            c.sock.connect(path)
            c.request("GET", "/metrics")
            assert Scrape(c.getresponse().read().decode()).get("up") == 0
            c.close()


def test_requests(make):
    """The type is Prometheus'; everything but GET and HEAD of /metrics is refused; nonsense costs nothing."""
    config, _ = local_pairs(make, ["p"])
    with Exporter(config) as x:
        status, headers, text = x.get()
        assert status == 200 and headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        status, headers, nothing = x.get(method="HEAD")
        assert nothing == "" and int(headers["Content-Length"]) == len(text)
        for path, method, body, want in (("/", "GET", None, 404), ("/metrics/", "GET", None, 404),
                                         ("/metrics", "POST", b"x" * 100000, 405), ("/metrics", "DELETE", None, 405)):
            with pytest.raises(urllib.error.HTTPError) as e:
                x.get(path, method, body)
            assert e.value.code == want
        idle = [socket.create_connection(("127.0.0.1", x.port)) for _ in range(10)]
        for s in idle:
            s.sendall(b"GET /metrics HTTP/1.1\r\nX: " + b"y" * 20000)
        assert x.get()[0] == 200
        for s in idle:
            s.close()
        for nonsense in (b"\0" * 4096, b"GET /metrics HTTP/9.9\r\n\r\n", b"\r\n" * 1000, os.urandom(4096)):
            with socket.create_connection(("127.0.0.1", x.port)) as s:
                s.sendall(nonsense)
        assert x.get()[0] == 200 and x.p.poll() is None


def test_it_is_locked_in(make):
    """After it listens: a filter, no new privileges, no core, one thread, few files."""
    config, _ = local_pairs(make, ["p"])
    with config.daemon() as d, Exporter(config) as x:
        d.wait_ready()
        assert x.scrape().get("up") == 1
        with open("/proc/%d/status" % x.p.pid) as f:
            status = dict(line.split(":", 1) for line in f.read().splitlines())
        assert status["Seccomp"].strip() == "2" and status["NoNewPrivs"].strip() == "1"
        assert status["Threads"].strip() == "1"
        with open("/proc/%d/limits" % x.p.pid) as f:
            limits = f.read()
        assert re.search(r"Max core file size +0 +0", limits) and re.search(r"Max open files +64 +64", limits)
        assert d.stop() == 0


# --- what is delivered beside the program ------------------------------------------------------------------------

RULES = os.path.join(product.TOP, "config/prometheus/mailshadow.rules.yml")
DASHBOARD = os.path.join(product.TOP, "config/grafana/mailshadow.json")


def expressions_of_rules():
    yaml = pytest.importorskip("yaml", reason="python3-yaml is not installed (scripts/bootstrap tests)")
    with open(RULES) as f:
        rules = [r for g in yaml.safe_load(f)["groups"] for r in g["rules"]]
    for r in rules:
        assert r["annotations"]["summary"] and r["annotations"]["description"] and r["labels"]["severity"], r
    return {r["alert"]: r["expr"] for r in rules}


def expressions_of_dashboard():
    with open(DASHBOARD) as f:
        dashboard = json.load(f)
    out = {}
    for p in dashboard["panels"]:
        for target in p["targets"]:
            out["%s %s" % (p["title"], target["refId"])] = target["expr"]
    assert len({p["id"] for p in dashboard["panels"]}) == len(dashboard["panels"])
    for v in dashboard["templating"]["list"]:
        if v["type"] == "query":
            out["variable " + v["name"]] = v["query"]["query"]
    return out


def test_rules_and_dashboard_use_names_that_exist(make):
    config, boxes = local_pairs(make, ["p"])
    boxes["p"][0].put(plain(1))
    with config.daemon() as d:
        d.wait_ready()
        d.wait(lambda s: s["pairings"][0]["status"] == "Success" and all_done(s))
        s = Scrape(run("--socket", d.socket(), "--print").out)
        assert d.stop() == 0
    names = {name for name, _ in s.samples}
    pairs = {label for _, labels in s.samples for label in labels}
    expressions = {**expressions_of_rules(), **expressions_of_dashboard()}
    assert len(expressions) > 30
    used = set()
    for where, e in expressions.items():
        mine = set(re.findall(r"mailshadow_[a-z0-9_]+", e))
        assert mine and mine <= names, "%s: %s" % (where, mine - names)
        used |= mine
        for label in re.findall(r'([a-z]+="[^"]*")', e):
            assert label in pairs, "%s: no series has %s" % (where, label)
        for name in mine:                    # counters are rated, gauges are not
            is_counter = name.endswith("_total") or name.endswith("_bucket")
            rated = re.search(r"(rate|increase)\(%s\b" % name, e) is not None
            assert is_counter == rated, "%s: %s" % (where, name)
    # the manual names every family
    with open(os.path.join(product.TOP, "doc/man/mailshadow-metrics.8")) as f:
        manual = f.read()
    for family in s.types:
        assert re.search(r"\b%s\b" % family.replace("mailshadow_", ""), manual), family
    # and the operations guide every alert
    with open(os.path.join(product.TOP, "doc/operations.md")) as f:
        guide = f.read()
    assert [a for a in expressions_of_rules() if a not in guide] == []


def test_rules_in_promtools_eyes(tmp_path):
    promtool = shutil.which("promtool") or shutil.which("promtool", path=os.environ.get("MS_PROMTOOL_DIR", ""))
    if promtool is None:
        pytest.skip("promtool is not installed (Debian package prometheus; 100 MB, so bootstrap leaves it out)")
    r = product.run([promtool, "check", "rules", RULES])
    assert r.rc == 0 and "SUCCESS" in r.out, r
    with open(os.path.join(product.TOP, "tests/e2e/rules_test.yml")) as f:
        text = f.read()
    path = tmp_path / "test.yml"
    path.write_text(text.replace("[RULES]", "[%s]" % RULES))
    r = product.run([promtool, "test", "rules", str(path)])
    assert r.rc == 0 and "SUCCESS" in r.out, r
