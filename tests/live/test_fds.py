"""The recipe fds: every way a descriptor comes to be and goes.

Invariant: a program that makes a descriptor of every kind in every way (tests/programs/fds.c) is told of in full and of
nothing else: the events are the steps that it says it took and the calls that strace sees; and whoever keeps a table by
them has, for every process, exactly what /proc/PID/fd has: descriptors, inodes, flags, kinds.
"""

import collections
import ctypes
import os
import pathlib
import re
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import unittest

import rille

LOADER = re.compile(r"ld\.so\.cache$|\.so\.\d+$")  # what is opened before main()
MISSING = {"read"}  # fanotify's events bring descriptors that nothing tells of
LINKS = (("socket:", "SOCKET"), ("pipe:", "PIPE"), ("anon_inode:[eventpoll]", "EPOLL"), ("anon_inode:[eventfd", "EVENTFD"),
         ("anon_inode:[timerfd]", "TIMERFD"), ("anon_inode:[signalfd]", "SIGNALFD"), ("anon_inode:inotify", "INOTIFY"),
         ("anon_inode:[fanotify]", "FANOTIFY"), ("/memfd:", "MEMFD"), ("/secretmem", "MEMFD"), ("anon_inode:[pidfd]", "PIDFD"),
         ("pidfd:", "PIDFD"), ("anon_inode:[io_uring]", "IO_URING"), ("anon_inode:bpf-map", "BPF"),
         ("anon_inode:[perf_event]", "PERF"), ("anon_inode:[userfaultfd]", "USERFAULTFD"),
         ("anon_inode:[fscontext]", "MOUNT"), ("anon_inode:[landlock-ruleset]", "LANDLOCK"),
         ("anon_inode:seccomp notify", "SECCOMP"))


def open_now(pid):
    """{descriptor: (inode, flags, link, mode)} by /proc."""
    table = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        about = os.stat(f"/proc/{pid}/fd/{fd}")
        info = pathlib.Path(f"/proc/{pid}/fdinfo/{fd}").read_text(encoding="utf-8")
        flags = int(re.search(r"^flags:\s*(\d+)", info, re.M).group(1), 8)
        table[int(fd)] = (about.st_ino, flags, os.readlink(f"/proc/{pid}/fd/{fd}"), about.st_mode)
    return table


def kind_of(path, link, mode):
    for begin, kind in LINKS:
        if link.startswith(begin):
            return kind
    if link.startswith("/rille-fds-"):
        return "MQUEUE"
    return {stat.S_IFDIR: "DIRECTORY", stat.S_IFCHR: "DEVICE"}.get(stat.S_IFMT(mode), "FILE") if path else None


class Replay:
    """Tables of descriptors, kept by the events alone: {descriptor: (file, inode, kind, close-on-exec)}."""

    def __init__(self, first):
        self.tables = collections.defaultdict(dict)
        self.first = first

    def table(self, pid):
        if pid not in self.tables:
            self.tables[pid] = dict(self.first)
        return self.tables[pid]

    def put(self, table, event):
        if "fds" in event:
            for i, fd in enumerate(event["fds"]):
                table[fd] = {"file": event["files"][i], "inode": event["inodes"][i], "kind": event.get("kind"),
                             "cloexec": event.get("cloexec")}
        else:
            table[event["fd"]] = {key: event[key] for key in ("file", "inode", "kind", "cloexec")}

    def take(self, event):
        table = self.table(event["pid"])
        match event["op"]:
            case "new" | "dup":
                self.put(table, event)
            case "close":
                table.pop(event["fd"], None)
            case "note":
                table[event["fd"]]["cloexec"] = event["cloexec"]
            case "range":
                for fd in [fd for fd in table if event["first"] <= fd <= event["last"]]:
                    if event["flags"] == "CLOSE_RANGE_CLOEXEC":
                        table[fd] = table[fd] | {"cloexec": True}
                    else:
                        del table[fd]
            case "fork":
                self.tables[event["child"]] = table if event["shared"] else dict(table)
            case "unshare":
                self.tables[event["pid"]] = dict(table)
            case "exec":
                self.tables[event["pid"]] = {fd: entry for fd, entry in table.items() if not entry["cloexec"]}
            case "exit":
                del self.tables[event["pid"]]


class Trace:
    """One run of the program: what it said, what /proc had when it was done, and the events."""

    def __init__(self, program, folder, *options, recipe="fds"):
        output = folder / "events"
        arguments = ["run", recipe, *options, "-o", f"jsonl:{output}", "--", program]
        with subprocess.Popen([rille.RILLE, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as process:
            self.said = []
            for line in process.stdout:
                self.said.append(line.split())
                if self.said[-1][1] == "ready":
                    break
            self.main = int(self.said[-1][0]) if self.said else 0
            self.children = [int(words[3]) for words in self.said if words[1] == "fork"]
            self.open = {pid: open_now(pid) for pid in [self.main, *self.children]}
            process.stdin.close()
            process.stdout.read()
            self.errors = process.stderr.read()
            self.status = process.wait(timeout=60)
        self.records = rille.records(output.read_text(encoding="utf-8"))
        self.events = sorted((r for r in self.records if r["type"] == "event"), key=lambda event: int(event["nsecs"]))
        self.skipped = {words[2]: " ".join(words[3:]) for words in self.said if words[1] == "skip"}

    def made(self, pid):
        """The events that make descriptors, without those of the program's loader."""
        for event in self.events:
            if event["pid"] == pid and event["op"] in ("new", "dup") and not LOADER.search(event.get("path") or ""):
                yield event


def call_of(event):
    return event["probe"].split(":")[-1] if event["probe"].startswith("syscall:") else "uring"


class Fds(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        rille.need_trace()
        cls.shop = rille.Workshop()
        cls.addClassCleanup(cls.shop.close)
        cls.program = cls.shop.compile("fds.c", "-O1", "-g", "-fno-inline", "-fno-optimize-sibling-calls")
        cls.traced = Trace(cls.program, cls.shop.path)

    def test_complete(self):
        """Nothing was lost, and the recipe runs to its end."""
        self.assertEqual(self.traced.status, 0, self.traced.errors)
        end = self.traced.records[-1]
        self.assertEqual(end["type"], "end")
        for probe in end["probes"]:
            self.assertEqual({probe[key] for key in probe if key.startswith("lost")}, {0}, probe)

    def check_said(self, run):
        for pid in [run.main, *run.children]:
            said = []
            for words in run.said:
                if int(words[0]) != pid or words[1] not in ("new", "pair", "dup", "recv") or words[2] in MISSING:
                    continue
                call = words[2] if not words[2].startswith("uring:") else "uring"
                numbers = list(map(int, words[3:4] if words[1] == "dup" else words[3:]))
                if words[1] == "recv" and said and said[-1][0] == call and (
                        call == "recvmmsg" or self.same_message(run, pid, said[-1][1] + numbers)):
                    said[-1] = (call, said[-1][1] + numbers)
                    continue
                said.append((call, numbers))
            told = [(call_of(event), event["fds"] if "fds" in event else [event["fd"]]) for event in run.made(pid)]
            self.assertEqual(told, said)

    @staticmethod
    def same_message(run, pid, numbers):
        """Whether they came together: descriptors and a process's are two headers of one message."""
        return any(event.get("fds") == numbers for event in run.made(pid))

    def test_said(self):
        """Each step that makes a descriptor is one event, of the same call with the same numbers, in the same order."""
        self.check_said(self.traced)

    def test_object(self):
        """So it is with the object for other kernels, which does everything in the ways that old ones have."""
        with tempfile.NamedTemporaryFile(suffix=".o") as out:
            done = rille.run("emit", "fds", "--object", out.name)
            self.assertEqual(done.returncode, 0, done.stderr)
            run = Trace(self.program, self.shop.path, recipe=out.name)
        self.assertEqual(run.status, 0, run.errors)
        self.check_said(run)

    def test_from(self):
        """A copy names what it is a copy of, and has its open file."""
        files = {}
        for event in self.traced.made(self.traced.main):
            if event["op"] == "dup" and "from" in event and event["from"] in files:
                self.assertEqual(files[event["from"]], event["file"], event)
            for fd, file in zip(event.get("fds") or [event["fd"]], event.get("files") or [event["file"]]):
                files[fd] = file
        said = [(words[2], int(words[4])) for words in self.traced.said
                if words[1] == "dup" and int(words[0]) == self.traced.main and words[2] != "pidfd_getfd"]
        self.assertEqual([(call_of(e), e["from"]) for e in self.traced.made(self.traced.main) if "from" in e], said)

    def test_proc(self):
        """Tables kept by the events are those of /proc, for each process: numbers, inodes, kinds, close-on-exec."""
        first = {fd: {"file": 0, "inode": about[0], "kind": None, "cloexec": False}
                 for fd, about in self.traced.open[self.traced.main].items() if fd <= 2}
        replay = Replay(first)
        for event in self.traced.events:
            if event["op"] == "exit":
                break
            replay.take(event)
        missing = {int(words[3]) for words in self.traced.said if words[1] == "new" and words[2] in MISSING}
        for pid, table in self.traced.open.items():
            kept = replay.table(pid)
            real = {fd: about for fd, about in table.items() if fd not in missing}
            self.assertEqual(sorted(kept), sorted(real), pid)
            for fd, (inode, flags, link, mode) in real.items():
                self.assertEqual(kept[fd]["inode"], inode, (pid, fd, link))
                if kept[fd]["cloexec"] is not None:
                    self.assertEqual(kept[fd]["cloexec"], bool(flags & os.O_CLOEXEC), (pid, fd, link))
                if kept[fd]["kind"]:
                    self.assertEqual(kept[fd]["kind"], "KIND_" + kind_of(True, link, mode), (pid, fd, link))

    def test_exit(self):
        """Every process's end is told, after all else that it did."""
        ended = [event["pid"] for event in self.traced.events if event["op"] == "exit"]
        self.assertEqual(sorted(ended), sorted([self.traced.main, *self.traced.children]))
        for pid in ended:
            own = [event["op"] for event in self.traced.events if event["pid"] == pid]
            self.assertEqual(own.index("exit"), len(own) - 1)

    def test_flags(self):
        """Flags are those of /proc/PID/fdinfo."""
        table, flags = self.traced.open[self.traced.main], {}
        for event in self.traced.made(self.traced.main):
            for fd in event.get("fds", [])[:1] or [event.get("fd")]:
                flags[fd] = event.get("flags")
        checked = 0
        for fd, names in flags.items():
            if fd in table and isinstance(names, str):
                value = sum(self.flag(name) for name in names.split("|"))
                self.assertEqual(value, table[fd][1], (fd, names, table[fd]))
                checked += 1
        self.assertGreater(checked, 40)

    @staticmethod
    def flag(name):
        return 0o100000 if name == "O_LARGEFILE" else getattr(os, name)

    def test_notes(self):
        """bind, listen and connect are told with their addresses."""
        notes = [(call_of(e), e.get("addr")) for e in self.traced.events if e["op"] == "note" and e["pid"] == self.traced.main]
        listeners = [words for words in self.traced.said if words[1:3] == ["new", "socket"]]
        self.assertGreater(len(listeners), 2)
        self.assertEqual(collections.Counter(call for call, _ in notes), {"bind": 2, "listen": 2, "connect": 6})
        bound = [addr["text"] for call, addr in notes if call == "bind"]
        self.assertEqual(bound, ["127.0.0.1:0"] * 2)
        self.assertEqual({addr["address"] for call, addr in notes if call == "connect"}, {"127.0.0.1"})

    def test_io_uring(self):
        """What io_uring made is joined to what was submitted, from the function that did; slots are no descriptors."""
        if "io_uring_setup" in self.traced.skipped:
            self.skipTest(f"io_uring: {self.traced.skipped['io_uring_setup']}")
        submitted, ways = {}, []
        for event in self.traced.events:
            if event["op"] == "submit":
                submitted[event["req"]] = submitted[event["ring"], event["user_data"]] = event
            elif call_of(event) == "uring" and event["op"] == "new":
                came = submitted[event["req"] if event["req"] else (event["ring"], event["user_data"])]
                self.assertEqual(came["user_data"], event["user_data"])
                names = [frame["name"] for frame in came["ustack"]]
                by = [name for name in names if name in ("use_ring", "ring_accept", "ring_pipe")]
                ways.append((came["opcode"], by[0] if by else came["ustack_end"]))
        said = [words for words in self.traced.said if words[1] in ("new", "pair") and words[2].startswith("uring:")
                and words[2] != "uring:fixed_fd_install"]
        self.assertEqual(len(ways), len(said))
        self.assertEqual([way for way in ways if way[1] == "no-user"], [("IORING_OP_SOCKET", "no-user")])  # polled
        self.assertEqual([way for way in ways if way[1] == "ring_accept"], [("IORING_OP_ACCEPT", "ring_accept")] * 4)
        self.assertNotIn("uring:direct", self.traced.skipped)

    def test_stacks(self):
        """Each descriptor's stack is whole and has the function of the program that made it."""
        expected = {"epoll_create1": "make_events", "openat2": "make_files", "socketpair": None, "pipe2": "make_pairs",
                    "bpf": "make_kernel_objects", "dup3": None, "accept4": "make_sockets", "recvmmsg": "receive_messages"}
        seen = set()
        for pid in [self.traced.main, *self.traced.children]:
            for event in self.traced.made(pid):
                if call_of(event) == "uring":
                    continue
                names = [frame["name"] for frame in event["ustack"]]
                self.assertEqual(event["ustack_end"], "root", event)
                self.assertIn("main", names)
                seen.add(call_of(event))
                if expected.get(call_of(event)):
                    self.assertIn(expected[call_of(event)], names)
        self.assertLessEqual(set(expected) - set(self.traced.skipped), seen)

    def test_kinds(self):
        """--kinds shows those kinds and no others."""
        run = Trace(self.program, self.shop.path, "--kinds", "pipe,epoll", "--processes=no", "--notes=no")
        self.assertEqual({event["kind"] for event in run.events if "kind" in event}, {"KIND_PIPE", "KIND_EPOLL"})
        made = [(call_of(e), e.get("fds") or [e["fd"]]) for e in run.made(run.main) if e["op"] == "new"]
        self.assertEqual([m for m in made if m[0] != "uring"],
                         [(words[2], list(map(int, words[3:]))) for words in run.said if words[1] in ("new", "pair")
                          and words[2] in ("pipe", "pipe2", "epoll_create", "epoll_create1")])
        self.assertLessEqual({event["op"] for event in run.events}, {"new", "dup", "close", "submit"})

    @unittest.skipUnless(shutil.which("strace"), "strace is not installed")
    def test_strace(self):
        """strace, running the same program, sees the same calls make the same descriptors."""
        calls = ("openat openat2 creat open epoll_create epoll_create1 eventfd eventfd2 inotify_init inotify_init1 socket accept "
                 "accept4 timerfd_create memfd_create dup dup2 dup3 pidfd_open pidfd_getfd io_uring_setup userfaultfd bpf "
                 "perf_event_open fsopen fsmount fspick open_tree mq_open fanotify_init").split()
        with tempfile.NamedTemporaryFile("r", prefix="rille-strace-") as log:
            done = subprocess.run(["strace", "-f", "-o", log.name, "-e", "trace=" + ",".join(calls), self.program],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            main = done.stdout.split()[0]
            lines = re.findall(rf"^{main} +(\w+)\((.*)\) += (\d+)(?:<.*>)?$", log.read(), re.M)
        seen = [(call, int(ret)) for call, arguments, ret in lines if not re.search(r"ld\.so\.cache|\.so\.\d+\"", arguments)]
        told = [(call_of(event), event["fd"]) for event in self.traced.made(self.traced.main)
                if call_of(event) in calls and "fd" in event]
        self.assertGreater(len(told), 40)
        self.assertEqual(told, seen)


def header(level, kind, data, length=None):
    """One control message, padded."""
    length = 16 + len(data) if length is None else length
    return struct.pack("<Qii", length & (2**64 - 1), level, kind) + data + bytes(-len(data) % 8)


def rights(*fds):
    return header(1, 1, struct.pack(f"<{len(fds)}i", *fds))


MANY = tuple(range(100, 140))
# name → (control data, the descriptors in it)
CONTROLS = {
    "none": (b"", []),
    "three": (rights(5, 6, 7), [5, 6, 7]),
    "behind-credentials": (header(1, 2, bytes(12)) + rights(8, 9), [8, 9]),
    "a-process-too": (rights(4) + header(1, 4, struct.pack("<i", 11)), [4, 11]),
    "many": (rights(*MANY), list(MANY)),
    "another-level": (header(0, 1, struct.pack("<i", 5)), []),
    "half-a-descriptor": (header(1, 1, struct.pack("<ih", 5, 6)), [5]),
    "no-length": (header(1, 1, struct.pack("<i", 5), 0) + rights(6), []),
    "length-too-small": (header(1, 1, struct.pack("<i", 5), 15) + rights(6), []),
    "length-too-big": (header(1, 1, struct.pack("<i", 5), 4096), []),
    "length-around": (header(1, 1, struct.pack("<i", 5), -8), []),
    "cut": (rights(5, 6)[:12], []),
    "far": (header(1, 2, b"") * 900 + rights(3), [3]),
    "too-far": (header(1, 2, b"") * 5000 + rights(3), []),
}


def fake_messages():
    """kcmp() with an address of what looks like a received message."""
    libc = ctypes.CDLL(None)
    for data, _ in CONTROLS.values():
        control = ctypes.create_string_buffer(data, len(data) or 1)
        message = struct.pack("<QQQQQQQ", 0, 0, 0, 0, ctypes.addressof(control), len(data), 0)
        room = ctypes.create_string_buffer(message, len(message))
        libc.syscall(312, 0, 0, 0, ctypes.c_uint64(ctypes.addressof(room)), 0)
    bad = struct.pack("<QQQQQQQ", 0, 0, 0, 0, 4096, 64, 0)
    room = ctypes.create_string_buffer(bad, len(bad))
    libc.syscall(312, 0, 0, 0, ctypes.c_uint64(ctypes.addressof(room)), 0)
    libc.syscall(312, 0, 0, 0, ctypes.c_uint64(8), 0)


class Messages(unittest.TestCase):
    """scm_fds() and scm_count() find what is in control data, however odd, and end."""

    maxDiff = None

    def setUp(self):
        rille.need_trace()

    PROBE = """{ "syscall:kcmp", fields = { "fds = scm_fds(idx1)", "n = scm_count(idx1)", "second = scm_fds(idx1)[1]",
        "files = fd_file(fds)" } }"""

    def test_control(self):
        done = rille.run("-e", self.PROBE, "-q", "--format", "jsonl", "--", sys.executable, __file__, "fake-messages")
        self.assertEqual(done.returncode, 0, done.stderr)
        events = rille.events(done.stdout)
        for name, event in zip([*CONTROLS, "unreadable-control", "unreadable"], events, strict=True):
            fds = CONTROLS.get(name, (b"", []))[1]
            self.assertEqual((event["fds"], event["n"]), (fds[:32] or None, len(fds)), name)
            self.assertEqual(event["second"], fds[1] if len(fds) > 1 else None, name)

    def test_control_in_steps(self):
        """Where a kernel cannot loop fewer are seen, and how many there were is known still."""
        with tempfile.NamedTemporaryFile(suffix=".o") as out:
            self.assertEqual(rille.run("emit", "-e", self.PROBE, "--object", out.name).returncode, 0)
            done = rille.run("run", out.name, "-q", "--format", "jsonl", "--", sys.executable, __file__, "fake-messages")
        self.assertEqual(done.returncode, 0, done.stderr)
        for (name, (_, fds)), event in zip(CONTROLS.items(), rille.events(done.stdout)):
            if name != "far":
                self.assertEqual((event["fds"], event["n"]), (fds[:8] or None, len(fds)), name)

    def test_sent(self):
        """What was really sent: as many as a message can have, 253."""
        code = """
import os, socket
a, b = socket.socketpair()
for n in (1, 31, 32, 33, 253):
    socket.send_fds(a, [b"x"], [1] * n)
    print(*socket.recv_fds(b, 1, 253)[1], flush=True)
"""
        with tempfile.NamedTemporaryFile("r", prefix="rille-test-") as out:
            done = rille.run("run", "fds", "-q", "-o", f"jsonl:{out.name}", "--", sys.executable, "-c", code)
            self.assertEqual(done.returncode, 0, done.stderr)
            events = [event for event in rille.events(out.read()) if event["probe"] == "syscall:recvmsg"]
        received = [list(map(int, line.split())) for line in done.stdout.splitlines()]
        self.assertEqual([len(fds) for fds in received], [1, 31, 32, 33, 253])
        self.assertEqual([(event["fds"], event["count"]) for event in events], [(fds[:32], len(fds)) for fds in received])
        self.assertEqual([len(set(event["files"])) for event in events], [1] * 5)


class Entry(unittest.TestCase):
    """A probe at a call's entry fires before the call, once; beside the same one at its exit, too."""

    def setUp(self):
        rille.need_trace()

    def trace(self, script, *command):
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as source:
            source.write(script)
            source.flush()
            done = rille.run("run", source.name, "-q", "--format", "jsonl", "--", *command)
        self.assertEqual(done.returncode, 0, done.stderr)
        return rille.events(done.stdout)

    def test_both(self):
        script = """local function probe(at, more)
              return { "syscall:%s", where = "tid == pid", fields = { "who = pid" }, at = at }
            end
            return { probes = { probe("exit"), probe("entry") } }"""
        code = "import os\nfor i in range(5): os.getppid()"
        for name in ("getppid", "get*"):  # a case of a switch; a table
            with self.subTest(name):
                events = self.trace(script % name, sys.executable, "-c", code)
                self.assertEqual(len([e for e in events if e["probe"] == "syscall:getppid"]), 10)

    def test_before(self):
        """At the entry of close() the descriptor is open; when it returns it is not."""
        events = self.trace("""return { probes = {
              { "syscall:close", at = "entry", fields = { "is_open = has(fd_file(fd))" } },
              { "syscall:close", fields = { "is_open = has(fd_file(fd))", "ret" } } } }""",
            sys.executable, "-c", "import os\nos.close(os.dup(1))\ntry: os.close(999)\nexcept OSError: pass")
        events.sort(key=lambda event: int(event["nsecs"]))
        self.assertGreaterEqual(len(events), 4)
        self.assertEqual(len(events) % 2, 0)
        for before, after in zip(events[::2], events[1::2]):
            self.assertNotIn("ret", before)
            self.assertEqual((before["is_open"], after["is_open"]), (after["ret"] == 0, False))
        self.assertIn(-9, [event.get("ret") for event in events])


class Optional(unittest.TestCase):
    def setUp(self):
        rille.need_trace()

    def test_left_out(self):
        """A probe that may be missing is left out, and -v says so; the others work."""
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write("""return { probes = { { "syscall:getppid" },
                { "tracepoint:sched:sched_nonsense", optional = true },
                { "tracepoint:sched:sched_process_exec", fields = { "nothing" }, optional = true },
                { "syscall:nonsense*", optional = true },
                { "syscall:getpid", fields = { "x = task->nonsense" }, optional = true } } }""")
            script.flush()
            done = rille.run("run", script.name, "-v", "-d", "1ms")
        self.assertEqual(done.returncode, 0, done.stderr)
        left = re.findall(r"rille: (\S+) is left out: (.*)", done.stderr)
        self.assertEqual([name for name, _ in left], ["tracepoint:sched:sched_nonsense", "tracepoint:sched:sched_process_exec",
                                                      "syscall:nonsense*", "syscall:getpid"])
        self.assertRegex(done.stderr, r"(?m)^rille: syscall:getppid: raw_tracepoint sys_exit$")

    def test_none_left(self):
        """A script whose probes are all missing is an error."""
        done = rille.run("-e", '{ "tracepoint:sched:sched_nonsense", optional = true }', "-d", "1ms")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("this kernel has none of the probes", done.stderr)


if __name__ == "__main__":
    if sys.argv[1:] == ["fake-messages"]:
        fake_messages()
    else:
        unittest.main()
