"""A stack with pages in its middle that were never touched, of a process that is gone at once: the copy that came with the
event has everything that was ever written, so the whole stack is there, and nothing of it was read later."""

import shutil
import unittest

import rille

RUNS = 20
FLAGS = ["-O1", "-fomit-frame-pointer", "-fno-stack-protector", "-fno-stack-clash-protection", "-pthread"]


class Sparse(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rille.need_trace()
        if not shutil.which("gcc") and not shutil.which("cc"):
            raise unittest.SkipTest("no C compiler is installed")
        cls.shop = rille.Workshop()
        cls.program = cls.shop.compile("sparse.c", *FLAGS)

    @classmethod
    def tearDownClass(cls):
        cls.shop.close()

    def test_untouched_pages(self):
        for number in range(RUNS):
            with self.subTest(run=number):
                done = rille.run("run", "socketpair", "--format", "jsonl", "--", self.program)
                self.assertEqual(done.returncode, 0, done.stderr)
                event, = rille.events(done.stdout)
                frames = event["ustack"]
                self.assertEqual(event["ustack_end"], "root", frames)
                self.assertEqual([frame["name"] for frame in frames[:5]],
                                 ["socketpair", "leaf", "sparse", "caller", "thread"])
                self.assertEqual({frame.get("how") for frame in frames} & {"live", "scan"}, set(), frames)


if __name__ == "__main__":
    unittest.main()
