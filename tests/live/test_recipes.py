"""The recipes: each shows exactly the calls that the traced program made and its parameters ask for, with the columns that
are promised, and the values that the program itself (fstat, errno) and strace saw."""

import errno
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import rille

# Makes sockets of several kinds; says of each call what came of it.
TARGET = """
import os, socket, errno
def say(*words): print(*words, flush=True)
def inode(s): return os.fstat(s.fileno()).st_ino
for family, kind, protocol in (
        (socket.AF_UNIX, socket.SOCK_STREAM, 0), (socket.AF_UNIX, socket.SOCK_DGRAM, 0), (socket.AF_INET, socket.SOCK_DGRAM, 17),
        (socket.AF_INET6, socket.SOCK_STREAM, 0), (socket.AF_NETLINK, socket.SOCK_RAW, 0)):
    s = socket.socket(family, kind, protocol)
    say("socket", s.fileno(), inode(s), family.name, kind.name, protocol)
    s.close()
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    a, b = socket.socketpair(socket.AF_UNIX, kind)
    say("socketpair", a.fileno(), b.fileno(), inode(a), inode(b), kind.name)
    a.close(); b.close()
for family in (socket.AF_INET, 99):
    try:
        socket.socket(family, 77)
    except OSError as e:
        say("socket-failed", e.errno)
try:
    socket.socketpair(socket.AF_INET)
except OSError as e:
    say("socketpair-failed", e.errno)
def bind(family, address):
    s = socket.socket(family, socket.SOCK_STREAM)
    try:
        s.bind(address)
        say("bind", s.fileno(), inode(s), 0, s.getsockname())
    except OSError as e:
        say("bind", s.fileno(), inode(s), e.errno, address)
    return s
keep = [bind(socket.AF_INET, ("127.0.0.1", 0)), bind(socket.AF_INET6, ("::1", 0)),
        bind(socket.AF_UNIX, b"\\0rille-test-%d" % os.getpid()), bind(socket.AF_UNIX, "/nonexistent/folder/x.sock")]
keep.append(bind(socket.AF_INET, keep[0].getsockname()))
"""

COLUMNS = {
    "syscall:socket": ["fd", "inode", "family", "type_", "protocol"],
    "syscall:socketpair": ["fds", "inodes", "family", "type_"],
    "syscall:bind": ["fd", "inode", "addr", "ret", "errno"],
}
COMMON = ["type", "probe", "time", "nsecs", "pid", "tid", "ppid", "comm"]


class Recipes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rille.need_trace()

    def trace(self, recipe, *options, command=None):
        """(what the target says, by call; the events)."""
        with tempfile.NamedTemporaryFile("r", prefix="rille-recipe-") as out:
            done = rille.run("run", recipe, *options, "-q", "-o", f"jsonl:{out.name}", "--",
                             *(command or [sys.executable, "-c", TARGET]))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stderr, "")
            said = [line.split(" ", 4 if line.startswith("bind") else -1) for line in done.stdout.splitlines()]
            events = rille.events(out.read())
        for event in events:
            names = [name for name in event if name not in COMMON + ["ustack", "ustack_end"]]
            self.assertEqual(names, COLUMNS[event["probe"]])
            self.assertEqual(event["ustack_end"], "root", event)
            self.assertGreater(len(event["ustack"]), 3)
        return said, events

    @staticmethod
    def plain(type_name):
        return type_name.split("|")[0]

    def sockets(self, events):
        return [["socket", str(e["fd"]), str(e["inode"]), e["family"], self.plain(e["type_"]), str(e["protocol"])]
                for e in events if e["probe"] == "syscall:socket" and e["fd"] >= 0]

    def pairs(self, events):
        return [["socketpair", *map(str, e["fds"]), *map(str, e["inodes"]), self.plain(e["type_"])]
                for e in events if e["probe"] == "syscall:socketpair" and e["fds"]]

    def test_socket(self):
        """Every successful socket(), and no other: descriptor, inode, family, type, protocol."""
        said, events = self.trace("socket")
        made = self.sockets(events)
        self.assertEqual(len(made), len(events))
        wanted = [line for line in said if line[0] == "socket"]
        self.assertEqual([line for line in made if line in wanted], wanted)
        # The rest are those of the bind()s.
        self.assertEqual(len(made) - len(wanted), 5)

    def test_socket_parameters(self):
        said, events = self.trace("socket", "--family", "inet", "--type", "dgram")
        self.assertEqual(self.sockets(events), [line for line in said if line[3:5] == ["AF_INET", "SOCK_DGRAM"]])
        _, events = self.trace("socket", "--family", "AF_NETLINK")
        self.assertEqual([event["family"] for event in events], ["AF_NETLINK"])
        _, events = self.trace("socket", "--inode", "1,2,3")
        self.assertEqual(events, [])

    def test_socket_failed(self):
        """Failing calls are there if asked for: the result is the negative errno, and there is no inode."""
        said, events = self.trace("socket", "--failed")
        failed = [event for event in events if event["fd"] < 0]
        self.assertEqual([-event["fd"] for event in failed],
                         [int(line[1]) for line in said if line[0] == "socket-failed"])
        self.assertEqual([event["inode"] for event in failed], [None, None])

    def test_socketpair(self):
        said, events = self.trace("socketpair")
        self.assertEqual(self.pairs(events), [line for line in said if line[0] == "socketpair"])
        self.assertEqual(len(events), 2)
        _, events = self.trace("socketpair", "--type", "dgram")
        self.assertEqual([self.plain(event["type_"]) for event in events], ["SOCK_DGRAM"])
        _, events = self.trace("socketpair", "--failed")
        self.assertEqual(len(events), 3)

    def test_unix(self):
        """Unix sockets alone, single and in pairs, in the order of the calls."""
        said, events = self.trace("unix")
        self.assertEqual({event["family"] for event in events}, {"AF_UNIX"})
        wanted = [line for line in said if line[0] == "socketpair" or line[3:4] == ["AF_UNIX"]]
        seen = [line for event in events for line in self.sockets([event]) + self.pairs([event])]
        self.assertEqual(seen[:len(wanted)], wanted)
        self.assertEqual(len(seen), len(wanted) + 2)  # and those of the bind()s
        self.assertEqual([event["nsecs"] for event in events], sorted(event["nsecs"] for event in events))

    def test_bind(self):
        """Every bind(), also those that fail: the address as the program gave it, the result, the error's name."""
        said, events = self.trace("bind")
        self.assertEqual(len(events), 5)
        lines = [line for line in said if line[0] == "bind"]
        for event, line in zip(events, lines):
            self.assertEqual([str(event["fd"]), str(event["inode"])], line[1:3])
            self.assertEqual(event["ret"], -int(line[3]))
            self.assertEqual(event["errno"], errno.errorcode[int(line[3])] if line[3] != "0" else 0)
        self.assertEqual([event["addr"]["family"] for event in events],
                         ["AF_INET", "AF_INET6", "AF_UNIX", "AF_UNIX", "AF_INET"])
        self.assertEqual([event["addr"]["text"] for event in events][:2], ["127.0.0.1:0", "[::1]:0"])
        self.assertRegex(events[2]["addr"]["text"], r"^@rille-test-\d+$")
        self.assertEqual(events[3]["addr"]["path"], "/nonexistent/folder/x.sock")
        port = int(re.search(r", (\d+)\)", lines[0][4]).group(1))
        self.assertEqual((events[4]["addr"]["port"], events[4]["errno"]), (port, "EADDRINUSE"))

    def test_bind_parameters(self):
        _, events = self.trace("bind", "--failed")
        self.assertEqual([event["errno"] for event in events], ["ENOENT", "EADDRINUSE"])
        _, events = self.trace("bind", "--family", "unix")
        self.assertEqual([event["addr"]["family"] for event in events], ["AF_UNIX", "AF_UNIX"])

    def test_inode(self):
        """--inode shows those sockets and no others. The kernel gives inode numbers in order on one processor, so a pinned
        program's next ones can be guessed; what it really got, it says itself."""
        code = ("import os, socket, sys\nos.sched_setaffinity(0, [max(os.sched_getaffinity(0))])\n"
                "for n in map(int, sys.stdin):\n"
                "  for i in range(n):\n    s = socket.socket(socket.AF_UNIX)\n    print(os.fstat(s.fileno()).st_ino)\n"
                "  print(flush=True)")
        for _ in range(10):
            with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True) as target:
                def make(n, target=target):
                    print(n, file=target.stdin, flush=True)
                    return [int(line) for line in iter(target.stdout.readline, "\n")]

                last = make(1)[0]
                wanted = range(last + 1, last + 4 * 256, 4)  # as many as a list holds
                tracer = rille.start("run", "unix", "-q", "-p", target.pid, "--inode", ",".join(map(str, wanted)),
                                     "--format", "jsonl")
                made = make(1000)
                tracer.terminate()
                events = rille.events(tracer.communicate(timeout=60)[0])
                target.stdin.close()
            self.assertEqual([event["inode"] for event in events], [inode for inode in made if inode in wanted])
            if events:
                return
        self.fail("none of the inode numbers was ever reached")

    @unittest.skipUnless(shutil.which("strace"), "strace is not installed")
    def test_strace(self):
        """strace, running the same program, sees the same calls with the same arguments and results."""
        _, events = self.trace("socket", "--failed")
        ours = [(e["family"], e["type_"], e["fd"] if e["fd"] >= 0 else -1) for e in events]
        with tempfile.NamedTemporaryFile("r") as log:
            subprocess.run(["strace", "-f", "-e", "trace=socket", "-o", log.name, sys.executable, "-c", TARGET],
                           check=True, stdout=subprocess.DEVNULL)
            found = re.findall(r"socket\((\w+)(?:\s*/\*.*?\*/)?, (\w[\w|]*)(?:\s*/\*.*?\*/)?, \w+(?:\s*/\*.*?\*/)?\) = (-?\d+)",
                               log.read())
        named = [(f, t, int(r)) for f, t, r in found if not f.startswith("0x") and not t.startswith("0x")]
        self.assertGreaterEqual(len(named), 10)
        known = [call for call in ours if call[2] >= 0]
        self.assertEqual(known, [call for call in named if call[2] >= 0])


if __name__ == "__main__":
    unittest.main()
