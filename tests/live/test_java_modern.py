"""What newer JDKs put on a stack: foreign functions that call back, and virtual threads."""

import collections
import unittest

import jvm

SERIAL = True
MARKS = 2000 if jvm.LONG else 200
OLDEST = 22  # foreign functions are final
MARKER = "<virtual thread: older frames are in the heap>"
CARRIER = ["jdk.internal.vm.Continuation.enterSpecial", "jdk.internal.vm.Continuation.run",
    "java.lang.VirtualThread.runContinuation"]


class Modern(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        reason = jvm.why_not()
        majors = [major for major in sorted(jvm.jdks()) if major >= OLDEST]
        if reason or not majors:
            raise unittest.SkipTest(reason or f"no JDK {OLDEST} or later is installed")
        cls.major = majors[-1]
        cls.shop = jvm.Workshop("Torture.java", "Modern.java", library="torture.c", home=jvm.jdks()[cls.major])

    @classmethod
    def tearDownClass(cls):
        cls.shop.close()

    def trace(self, mode, *options):
        truth, events = jvm.trace_torture(self, self.shop, self.major, options, "Modern", [mode, 1500, MARKS, 200], MARKS)
        self.assertEqual(sorted(events), sorted(truth))
        self.assertEqual(len(events), MARKS)
        self.assertEqual(collections.Counter(event["ustack_end"] for event in events.values()), {"root": MARKS})
        return truth, events

    def check_upcalls(self, *options):
        """Java → qsort() → Java: every frame on both sides, and qsort() between them."""
        truth, events = self.trace("upcall", *options)
        for number, event in events.items():
            self.assertEqual(jvm.java_frames(event), [("Torture.call", -2), *truth[number]], f"call {number}")
            names = [frame.get("name") or "" for frame in event["ustack"] if frame["kind"] == "native"]
            self.assertTrue(any(name.startswith("qsort") for name in names), names)

    def test_upcalls(self):
        self.check_upcalls()

    def test_upcalls_interpreted(self):
        self.check_upcalls("-Xint")

    def check_virtual(self, *options):
        """The mounted frames, as a Throwable has them; then either all the others, or the marker; then the carrier, whole."""
        truth, events = self.trace("virtual", *options)
        frozen = 0
        for number, event in events.items():
            frames = jvm.java_frames(event)
            names = [name for name, _ in frames]
            at = names.index(CARRIER[0])
            expected = [("Torture.call", -2), *truth[number]]
            marked = any(frame.get("name") == MARKER for frame in event["ustack"])
            frozen += marked
            if marked:
                self.assertEqual(frames[:at], expected[:at], f"call {number}")
            else:
                self.assertEqual(frames[:at], expected, f"call {number}")
            self.assertEqual(names[at:at + len(CARRIER)], CARRIER)
            self.assertEqual(names[-1], "java.util.concurrent.ForkJoinWorkerThread.run")
        self.assertGreater(frozen, 0, "no frame was ever in the heap")
        self.assertLess(frozen, MARKS, "every stack had frames in the heap")

    def test_virtual_threads(self):
        self.check_virtual()

    def test_virtual_threads_interpreted(self):
        self.check_virtual("-Xint")


if __name__ == "__main__":
    unittest.main()
