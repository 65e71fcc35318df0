"""A host whose allocations and system calls fail, one after the other. (tests/unit/test_failing.c does the first to our own
code alone, with sanitizers.)"""

import collections
import concurrent.futures
import os
import re
import shutil
import subprocess
import unittest

from cycle import LONG, HostTest

# Calls that cannot fail, or whose failure means something else: a close() that fails has closed, brk() returns no errno,
# and who cannot wait for a child has a child left.
UNFAILING = {"brk", "close", "munmap", "exit_group", "rt_sigreturn", "rt_sigprocmask", "getpid", "geteuid", "waitid"}
ERRORS = ("ENOMEM", "EINTR", "EMFILE")


def ends(pieces):
    return pieces[:2] + pieces[2:-2:100] + pieces[2:][-2:]


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
        """(name, its number among the calls of that name) for each of the second round's declaring and attaching. A file
        that is read piece by piece (libbpf reads the kernel's types in more than a thousand) is there with the first two
        pieces, every hundredth and the last two: it is one loop of the C library."""
        log = self.path / "calls"
        self.run_host("strace", "-o", log, "-E", f"LD_PRELOAD={self.failing}", self.cycle, what, 2)
        calls, count, round_number, inside, pieces, piece = [], collections.Counter(), 0, False, [], None
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            match = re.match(r"(\w+)\((?:(\d+),)?", line)
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
                if name != "read" or match.groups() != piece:
                    calls += ends(pieces)
                    pieces = []
                piece = match.groups()
                pieces.append((name, count[name]))
        return calls + ends(pieces)

    def survive(self, cache, what, error, call):
        """Fails that call with that error, in a process with that cache."""
        output = self.run_host("strace", "-qq", "-o", "/dev/null", "-E", f"LD_PRELOAD={self.failing}", "-e",
                               f"inject={call[0]}:error={error}:when={call[1]}", self.cycle, what, 2, RILLE_CACHE_DIR=str(cache))
        self.assertEqual((output.rounds[0], output.rounds[2]), ("fine", "fine"), output.text)
        self.assertRegex(output.rounds[1], r"^(fine|-\d+ [a-z-]+)$")
        self.assert_left_nothing(output)

    def survive_each(self, runs, worker):
        """What went wrong, a run; one process at a time, with a cache that no other changes."""
        cache = self.path / f"cache-{worker}"
        cache.mkdir(mode=0o700, exist_ok=True)
        wrong = []
        for run in runs:
            try:
                self.survive(cache, *run)
            except (AssertionError, IndexError, KeyError, subprocess.TimeoutExpired) as error:
                wrong.append((run, f"{type(error).__name__}: {error}"))
        return wrong

    def test_system_calls(self):
        """Whichever system call fails at loading and attaching: it is told or was not needed, nothing is left by it, and
        the next round works. strace makes them fail."""
        if not shutil.which("strace"):
            self.skipTest("no strace")
        runs = []
        for what in ("cold", "script", self.object):
            calls = self.calls_of_a_round(what)
            self.assertGreater(len(calls), 50)
            for error in ERRORS if LONG else ERRORS[:1]:
                runs += [(what, error, call) for call in calls[:: 1 if LONG else len(calls) // 18 + 1]]
        workers = os.cpu_count()
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            results = pool.map(self.survive_each, (runs[i::workers] for i in range(workers)), range(workers))
            wrong = [found for result in results for found in result]
        for (what, error, (name, number)), text in wrong:
            with self.subTest(what=what, error=error, call=name, number=number):
                self.fail(text)


if __name__ == "__main__":
    unittest.main()
