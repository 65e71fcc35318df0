"""Java stacks equal what the thread itself wrote down a moment before: every method, every line, nothing else.

tests/programs/Torture.java makes calls of twenty shapes, nested at random, and at the bottom of each a system call that carries
a number, right after writing its own Throwable under that number. ShowHiddenFrames makes a Throwable list the frames that the JVM
usually leaves out. The runs differ in what HotSpot does with the code and the heap.
"""

import collections
import itertools
import unittest

import jvm

SERIAL = True
MARKS = 1100 if jvm.LONG else 110
WARMUP_MS = 3000 if jvm.LONG else 1500
COMPLETE = 0.999
ENOUGH = 6000  # stacks, to tell a share by

MODES = {
    "default": [],
    "interpreted": ["-Xint"],
    "c1": ["-XX:TieredStopAtLevel=1"],
    "c1_profiled": ["-XX:TieredStopAtLevel=3"],
    "c2": ["-XX:-TieredCompilation"],
    "compiled_at_once": ["-Xcomp"],
    "zgc": ["-XX:+UseZGC"],
    "wide_oops": ["-XX:-UseCompressedOops"],
    "frame_pointers": ["-XX:+PreserveFramePointer"],
    "small_code_cache": ["-XX:ReservedCodeCacheSize=5m", "-XX:InitialCodeCacheSize=2496k"],
    "one_heap": ["-XX:-SegmentedCodeCache"],
}


def is_complete(event):
    return event["ustack_end"] == "root" and len(jvm.proven(event)) == len(event["ustack"])


def compare(truth, event):
    """None, or what is wrong with the event's stack: whatever of it is not marked is the truth, and if nothing is, all of it. Behind
    a mark there may be a gap: compiled code that was freed before we came to it does not tell who called it."""
    proven = jvm.proven(event)
    ours = jvm.java_frames({"ustack": proven})
    truth = [("Torture.call", -2), *truth]
    if not is_complete(event):
        truth = truth[: len(ours)]
    if ours == truth:
        return None
    first = next((i for i, (a, b) in enumerate(zip(ours, truth)) if a != b), min(len(ours), len(truth)))
    return f"frame {first}: {ours[first - 1:first + 2]} instead of {truth[first - 1:first + 2]}"


class Truth(unittest.TestCase):
    THREADS = 3
    totals = collections.Counter()

    @classmethod
    def setUpClass(cls):
        jvm.need()
        cls.shop = jvm.Workshop("Torture.java", library="torture.c")

    @classmethod
    def tearDownClass(cls):
        cls.shop.close()
        print("java truth:", dict(cls.totals))

    def trace(self, major, options):
        return jvm.trace_torture(self, self.shop, major, options, "Torture", [self.THREADS, WARMUP_MS, MARKS, 1000], MARKS)

    def check(self, major, mode):
        truth, events = self.trace(major, MODES[mode])
        self.assertEqual(sorted(events), sorted(truth), "calls and events")
        self.assertEqual(len(events), MARKS)
        wrong = {n: what for n, event in events.items() if (what := compare(truth[n], event))}
        ends = collections.Counter(event["ustack_end"] for event in events.values())
        complete = sum(map(is_complete, events.values()))
        hows = collections.Counter(frame["how"] for e in events.values() for frame in e["ustack"] if "how" in frame)
        tiers = collections.Counter(frame["tier"] for e in events.values() for frame in e["ustack"] if "tier" in frame)
        self.totals.update(ends)
        self.totals.update(hows)
        self.totals.update(tiers)
        self.totals.update(stacks=len(events), complete=complete, wrong=len(wrong), frames=sum(len(frames) for frames in truth.values()),
            inlined=sum(frame.get("inlined", False) for e in events.values() for frame in e["ustack"]))
        detail = "".join(f"\n  call {n}: {what}" for n, what in list(wrong.items())[:5])
        self.assertFalse(wrong, f"{len(wrong)} of {len(events)} stacks are wrong{detail}")
        # On a busy machine we may be late; test_total() has the share of all runs.
        self.assertLessEqual(len(events) - complete, max(2, MARKS // 20), (ends, hows))

    def test_total(self):
        """The last of the class by name: what all the runs come to."""
        if not self.totals["stacks"]:
            self.skipTest("no run was made")
        # Of a thousand stacks two more or less decide about a tenth of a per cent: then more of them are made.
        runs = itertools.cycle((major, mode) for major in sorted(jvm.jdks()) for mode in MODES)
        while self.totals["complete"] < COMPLETE * self.totals["stacks"] and self.totals["stacks"] < ENOUGH:
            self.check(*next(runs))
        self.assertGreaterEqual(self.totals["complete"], COMPLETE * self.totals["stacks"], self.totals)
        self.assertEqual(self.totals["wrong"], 0)


class Anchors(unittest.TestCase):
    """JNI code that nothing unwinds: the threads' anchors lead over it, also where it calls back into Java."""

    @classmethod
    def setUpClass(cls):
        jvm.need()
        cls.shop = jvm.Workshop("Torture.java", library="torture.c",
            cflags=["-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-fno-optimize-sibling-calls"])

    @classmethod
    def tearDownClass(cls):
        cls.shop.close()

    def test_anchors_lead_to_the_same_frames(self):
        for major in sorted(jvm.jdks()):
            with self.subTest(jdk=major):
                truth, events = jvm.trace_torture(self, self.shop, major, [], "Torture", [2, WARMUP_MS, MARKS, 3000],
                    MARKS)
                by_anchor = 0
                for number, event in events.items():
                    hows = {frame.get("how") for frame in event["ustack"]}
                    if "anchor" not in hows or hows & {"fp", "scan"}:
                        continue  # a thread so new that its anchor was not known yet
                    by_anchor += 1
                    self.assertEqual(jvm.java_frames(event), [("Torture.call", -2), *truth[number]], f"call {number}")
                    self.assertEqual(event["ustack_end"], "root")
                self.assertGreater(by_anchor, MARKS / 2)


def make_test(major, mode):
    def test(self):
        self.check(major, mode)

    test.__doc__ = f"JDK {major}, {' '.join(MODES[mode]) or 'default options'}"
    return test


for _major in sorted(jvm.jdks()):
    for _mode in MODES:
        setattr(Truth, f"test_jdk{_major}_{_mode}", make_test(_major, _mode))

if __name__ == "__main__":
    unittest.main()
