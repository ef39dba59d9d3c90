"""Medians, ratios, and which goals are reached."""

import os
import platform
from statistics import median

NAMES = ("product", "service", "mbsync", "interimap", "wire")
PEERS = ("mbsync", "interimap")
TITLES = (("a", "(a) first copy of %(main)s"), ("b", "(b) nothing changed, %(main)s"),
          ("c", "(c) changes on both sides, %(main)s"), ("d", "(d) nothing changed, %(large)s"),
          ("d0", "first copy of %(large)s (one run)"),
          ("e", "(e) %(many)s mailboxes, nothing changed"),
          ("ra", "(r) 20 ms: first copy of %(far)s"), ("rb", "(r) 20 ms: nothing changed, %(far)s"),
          ("rc", "(r) 20 ms: changes, %(far)s"))
COUNTED = (("na", "first copy of 1,000"), ("b", "nothing changed, 1,000"),
           ("nc", "changes over 1,000"), ("d", "nothing changed, %(large)s"))
MEMORY = 64         # MiB for a worker


class Report:
    def __init__(self, bench, absent):
        self.results, self.counts = bench.results, bench.counts
        self.troubles, self.absent = bench.troubles, absent
        self.contestants = bench.rig.contestants
        scale = bench.scale
        self.sizes = {"main": "{:,}".format(10_000 // scale), "large": "{:,}".format(100_000 // scale),
                      "many": "{:,}".format(200 // scale),
                      "far": "{:,}".format(1000 // (scale // 2 or 1))}
        self.quick = bench.opts.quick

    # --- figures ------------------------------------------------------------------------------------

    def value(self, key, name, what="wall"):
        runs = self.results.get(key, {}).get(name)
        return median(r[what] for r in runs) if runs else None

    def best_peer(self, key):
        times = [(self.value(key, n), n) for n in PEERS if self.value(key, n) is not None]
        return min(times) if times else (None, None)

    def rows(self, key):
        return [(n, self.results[key][n]) for n in NAMES if self.results.get(key, {}).get(n)]

    # --- what is printed ----------------------------------------------------------------------------

    def show(self):
        print("\n%s, %d cores. Only ratios mean anything." % (platform.platform(), os.cpu_count()))
        if self.quick:
            print("A quick run: small mail, few rounds. Its figures judge nothing.")
        for name, why in self.absent.items():
            print("Without %s: %s." % (name, why))
        for who in self.contestants:
            if who.tolerate:
                print("Tolerated of %s, and of nobody else: %s." % (who.name, who.tolerate))
        self.show_times()
        self.show_counts()
        self.show_reach()
        if self.troubles:
            print("\ntroubles")
            for key, name, text in self.troubles:
                print("  %s %s: %s" % (key, name, text))

    def show_times(self):
        print("\n%-42s %5s %9s %19s %8s %8s %8s %9s" %
              ("medians", "runs", "time", "(fastest-slowest)", "/wire", "product", "cpu", "memory"))
        for key, title in TITLES:
            if not self.results.get(key):
                continue
            print(title % self.sizes)
            wire, product = self.value(key, "wire"), self.value(key, "product")
            for name, runs in self.rows(key):
                t, walls = self.value(key, name), [r["wall"] for r in runs]
                print("    %-38s %5d %7.3f s %19s %8s %8s %6.3f s %5.0f MiB" %
                      (name, len(runs), t, "(%.3f-%.3f)" % (min(walls), max(walls)),
                       "%.2fx" % (t / wire) if wire else "-",
                       "%.2fx" % (t / product) if product else "-",
                       self.value(key, name, "cpu"), max(r["rss"] for r in runs) / 1024))
        print("    (/wire: times the wire limit's time; product: times the product's time)")

    def show_counts(self):
        if not self.counts:
            return
        print("\n%-42s %s" % ("commands / round trips, both sides together",
                              "".join("%16s" % n for n in NAMES)))
        for key, title in COUNTED:
            if key not in self.counts:
                continue
            cells = []
            for n in NAMES:
                c = self.counts[key].get(n)
                cells.append("%16s" % ("%d / %d" % (c["commands"], c["trips"]) if c else "-"))
            print("%-42s %s" % (title % self.sizes, "".join(cells)))

    # --- goals --------------------------------------------------------------------------------------

    def reach(self):
        """[(goal, True | False | None if not measured, figure)]"""
        out = []

        def goal(text, figures, judge):
            """`judge(*figures)` -> (reached, how it is said); None among the figures: not measured"""
            if any(f is None for f in figures):
                out.append((text, None, "not measured"))
            else:
                out.append((text, *judge(*figures)))

        def against_best(key, factor):
            once, served = self.value(key, "product"), self.value(key, "service")

            def judge(fast, peer, name):
                text = "%.2fx of %s" % (peer / fast, name)
                if served is not None and once is not None:
                    text += " by the running service, %.2fx with its start" % (peer / once)
                return peer / fast >= factor, text
            return (once if served is None else served, *self.best_peer(key)), judge

        def trips(key):
            c = self.counts.get(key, {}).get("product")
            return c["trips"] if c else None

        def served(key):
            return self.value(key, "service") or self.value(key, "product")

        p, w = (lambda k: self.value(k, "product")), (lambda k: self.value(k, "wire"))
        goal("(a) at least 1.6x the speed of the best peer", *against_best("a", 1.6))
        goal("(a) aim: 1.8x", *against_best("a", 1.8))
        goal("(b) at least 1.8x the best peer", *against_best("b", 1.8))
        goal("(b) at most 5 round trips", (trips("b"),), lambda n: (n <= 5, "%d" % n))
        goal("(c) faster than mbsync", (p("c"), self.value("c", "mbsync")),
             lambda a, b: (a < b, "%.2fx of mbsync" % (b / a)))
        goal("(d) at least 1.8x the best peer", *against_best("d", 1.8))
        goal("(d) the same round trips as (b)", (trips("b"), trips("d")),
             lambda a, b: (a == b, "%d, (b) %d" % (b, a)))
        goal("(d) at most 15 ms more over the wire limit than (b)",
             (served("d"), w("d"), served("b"), w("b")),
             lambda pd, wd, pb, wb: ((pd - wd) - (pb - wb) <= 0.015, "%+.1f ms; (d) +%.1f, (b) +%.1f" %
                                     (1000 * ((pd - wd) - (pb - wb)), 1000 * (pd - wd),
                                      1000 * (pb - wb))))
        goal("(d) client CPU at most 1.15x that of (b)",
             (self.value("d", "product", "cpu"), self.value("b", "product", "cpu")),
             lambda d, b: (d <= 1.15 * b, "%.2fx (%.1f ms, %.1f ms)" % (d / b, 1000 * d, 1000 * b)))
        goal("(e) at least 2x the speed of mbsync", (p("e"), self.value("e", "mbsync")),
             lambda a, b: (b / a >= 2, "%.2fx" % (b / a)))
        for key, what in (("ra", "first copy"), ("rb", "nothing changed"), ("rc", "changes")):
            goal("(r) %s within 1.3x of the wire limit" % what, (served(key), w(key)),
                 lambda a, b: (a / b <= 1.3, "%.2fx" % (a / b)))
        peaks = [r["rss"] / 1024 for k in self.results for r in self.results[k].get("product", ())]
        goal("at most %d MiB per worker throughout" % MEMORY, (max(peaks, default=None),),
             lambda m: (m <= MEMORY, "%.0f MiB" % m))
        return out

    def show_reach(self):
        print("\nreach")
        for text, reached, figure in self.reach():
            word = {True: "OK", False: "MISSED", None: "-"}[reached]
            print("  %-54s %-7s %s" % (text, word, figure))

    def data(self):
        return {"version": 1, "platform": platform.platform(), "cores": os.cpu_count(),
                "quick": self.quick, "sizes": self.sizes, "absent": self.absent,
                "medians": {k: {n: {w: self.value(k, n, w) for w in ("wall", "cpu", "rss")}
                                for n, _ in self.rows(k)} for k in self.results},
                "runs": self.results, "counts": self.counts,
                "reach": [{"goal": g, "reached": r, "figure": f} for g, r, f in self.reach()],
                "troubles": [{"measurement": k, "contestant": n, "text": t}
                             for k, n, t in self.troubles]}
