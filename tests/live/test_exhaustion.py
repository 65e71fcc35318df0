"""A host whose allocations and system calls fail, one after the other. (tests/unit/test_failing.c does the first to our own
code alone, with sanitizers.)"""

import collections
import re
import shutil
import unittest

from cycle import LONG, HostTest

# Calls that cannot fail, or whose failure means something else: a close() that fails has closed, brk() returns no errno,
# and who cannot wait for a child has a child left.
UNFAILING = {"brk", "close", "munmap", "exit_group", "rt_sigreturn", "rt_sigprocmask", "getpid", "geteuid", "waitid"}


class Exhaustion(HostTest):
    def test_allocations(self):
        """Whichever allocation fails, of ours or of the libraries below us: it is told or was not needed, nothing is left
        by it, and the next round works."""
        for what in ("probe", "script"):
            with self.subTest(what=what):
                output = self.run_host(self.cycle, what, 0 if LONG else 25, "exhaust", LD_PRELOAD=str(self.failing))
                self.assertGreater(len(output.rounds), 20)
                self.assertEqual(output.rounds[-1], "fine")
                wrong = [told for told in output.rounds if told != "fine" and not re.match(r"-\d+ [a-z-]+$", told)]
                self.assertEqual(wrong, [], output.text)
                self.assertNotIn("left: ", output.text)
                self.assert_left_nothing(output)

    def calls_of_a_round(self, what):
        """(name, its number among the calls of that name) for each of the second round's declaring and attaching."""
        log = self.path / "calls"
        self.run_host("strace", "-o", log, "-E", f"LD_PRELOAD={self.failing}", self.cycle, what, 2)
        calls, count, round_number, inside = [], collections.Counter(), 0, False
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            match = re.match(r"(\w+)\(", line)
            if not match:
                continue
            name = match.group(1)
            count[name] += 1
            if line.startswith("close(-1001)"):
                round_number += 1
                inside = round_number == 2
            elif line.startswith("close(-1002)"):
                inside = False
            elif inside and name not in UNFAILING:
                calls.append((name, count[name]))
        return calls

    def test_system_calls(self):
        """Whichever system call fails at loading and attaching: it is told or was not needed, nothing is left by it, and
        the next round works. strace makes them fail."""
        if not shutil.which("strace"):
            self.skipTest("no strace")
        for what in ("cold", "script", self.object):
            calls = self.calls_of_a_round(what)
            self.assertGreater(len(calls), 50)
            for error in ("ENOMEM", "EINTR", "EMFILE") if LONG else ("ENOMEM",):
                step = (1 if error == "ENOMEM" else 4) if LONG else len(calls) // 18 + 1
                for name, number in calls[::step]:
                    with self.subTest(what=what, call=name, number=number, error=error):
                        output = self.run_host("strace", "-qq", "-o", "/dev/null", "-E", f"LD_PRELOAD={self.failing}", "-e",
                                               f"inject={name}:error={error}:when={number}", self.cycle, what, 2)
                        self.assertEqual((output.rounds[0], output.rounds[2]), ("fine", "fine"), output.text)
                        self.assertRegex(output.rounds[1], r"^(fine|-\d+ [a-z-]+)$")
                        self.assert_left_nothing(output)


if __name__ == "__main__":
    unittest.main()
