"""--top counts places: each event is counted at one, and a place is the same whatever ran it."""

import pathlib
import re
import subprocess
import tempfile
import unittest

import jvm
import rille

PROGRAM = """
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
__attribute__((noinline)) void often(void) { close(socket(AF_UNIX, SOCK_STREAM, 0)); __asm__(""); }
__attribute__((noinline)) void seldom(void) { close(socket(AF_UNIX, SOCK_STREAM, 0)); __asm__(""); }
int main(void)
{
	for (int i = 0; i < 300; i++) {
		often();
		if (i % 3 == 0)
			seldom();
		if (i % 100 == 0)
			close(socket(AF_UNIX, SOCK_DGRAM, 0));
	}
}
"""
PLACE = re.compile(r"^ *(\d+) +[\d.]+ %  (.*)\n((?:    .*\n)*)", re.M)


def places(text):
    """(count, probe or 'in N other places', frames) of each line with a share."""
    return [(int(count), what, [frame.strip() for frame in stack.splitlines()]) for count, what, stack in PLACE.findall(text)]


class Top(unittest.TestCase):
    def setUp(self):
        rille.need_trace()

    def test_counts_of_a_program(self):
        with tempfile.TemporaryDirectory() as tmp:
            source = pathlib.Path(tmp) / "places.c"
            source.write_text(PROGRAM, encoding="utf-8")
            program = source.with_suffix("")
            subprocess.run(["cc", "-O1", "-o", program, source], check=True)
            text = rille.run("run", "socket", "--top", 2, "--", program).stdout
        found = places(text)
        self.assertEqual([count for count, _, _ in found], [300, 100, 3])
        self.assertIn("often+", found[0][2][1])
        self.assertIn("seldom+", found[1][2][1])
        self.assertEqual(found[2][1], "in 1 other places")
        self.assertEqual(text.splitlines()[-1].split(), "403 events from 3 places".split())

    def test_a_place_is_the_same_in_every_tier(self):
        """Interpreted, C1 and C2 code of one call make one place; jsonl beside it proves that all three ran."""
        jvm.need()
        calls = 30000
        workshop = jvm.Workshop("Sites.java")
        self.addCleanup(workshop.close)
        major = sorted(jvm.jdks())[0]
        program = workshop.java(major, [], "Sites", str(calls))
        self.addCleanup(program.stdin.close)
        self.addCleanup(program.stdout.close)
        self.assertEqual(program.stdout.readline(), "ready\n")
        with tempfile.NamedTemporaryFile() as written:
            tracer = rille.start("run", "socket", "-p", program.pid, "--top", 0, "-o", f"jsonl:{written.name}")
            program.stdin.write("\n")
            program.stdin.flush()
            self.assertEqual(program.stdout.readline(), "done\n")
            program.stdin.write("\n")
            program.stdin.flush()
            program.wait()
            text, errors = tracer.communicate(timeout=60)
            events = rille.events(pathlib.Path(written.name).read_text(encoding="utf-8"))
        self.assertIn(f"sent {len(events)}", errors)
        found = places(text)
        self.assertEqual(sum(count for count, _, _ in found), len(events))
        tiers = {frame.get("tier") for event in events for frame in event["ustack"] if frame.get("name") == "Sites.middle"}
        self.assertLessEqual({"interp", "c1", "c2"}, tiers)
        complete = [event for event in events if event["ustack_end"] == "root"]
        ours = [(count, stack) for count, _, stack in found if any("Sites.middle" in f for f in stack) and
            not any("stack ends" in f for f in stack)]
        # the first calls also load classes; every other one is the same place
        self.assertGreater(max(count for count, _ in ours), len(complete) - 200, ours[:3])


if __name__ == "__main__":
    unittest.main()
