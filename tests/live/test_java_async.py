"""Java threads that are interrupted between any two instructions, as the scheduler does, rather than in a system call."""

import collections
import unittest

import jvm

SERIAL = True
SECONDS = 20 if jvm.LONG else 5
COMPLETE = 0.99  # in the middle of a prologue there is not always a way out
OUTERMOST = {"java.lang.Thread.run"}


class Interrupted(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        jvm.need()
        cls.shop = jvm.Workshop("Torture.java", library="torture.c")

    @classmethod
    def tearDownClass(cls):
        cls.shop.close()

    def test_stacks_lead_to_the_start_of_the_thread(self):
        for major in sorted(jvm.jdks()):
            with self.subTest(jdk=major):
                events = jvm.interrupted(self.shop, major, [], "true", SECONDS)
                ends = collections.Counter(event["ustack_end"] for event in events)
                self.assertGreaterEqual(ends["root"], COMPLETE * len(events), ends)
                complete = [event for event in events if event["ustack_end"] == "root"]
                java = [names for event in complete if (names := [name for name, _ in jvm.java_frames(event)])]
                self.assertEqual({names[-1] for names in java}, OUTERMOST)
                self.assertTrue(any(event["ustack"][0]["kind"] == "java" for event in complete),
                    "no thread was interrupted in Java code")


if __name__ == "__main__":
    unittest.main()
