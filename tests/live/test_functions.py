"""What the names and functions of expressions give, against what the traced process says of itself.

Invariant: descriptors, inodes, families, paths, text, arrays, addresses, ids and times in an event are those that the
traced program reads from its own system calls and /proc; what does not exist is null, and takes nothing else with it.
"""

import ctypes
import fnmatch
import json
import mmap
import os
import pathlib
import socket
import struct
import sys
import tempfile
import time
import unittest

import rille

KCMP, OPENAT, PWRITE = 312, 257, 18


def call(number, *args):
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.syscall(number, *(a if isinstance(a, bytes) else ctypes.c_uint64(a & (2**64 - 1)) for a in args))


# The traced programs: each does something, and says what it knows of it, as JSON. -------------------------------------


def sockets():
    out = []
    for family, kind in ((socket.AF_UNIX, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM),
                         (socket.AF_INET6, socket.SOCK_STREAM), (socket.AF_NETLINK, socket.SOCK_RAW)):
        s = socket.socket(family, kind)
        out.append({"fd": s.fileno(), "inode": os.fstat(s.fileno()).st_ino, "family": int(family)})
    return out


def descriptors():
    """kcmp(fd): descriptors of every kind, and some that are none."""
    folder = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    deep = pathlib.Path(tempfile.mkdtemp(prefix="rille-test-")) / "a" / "b" / "c" / "d" / "e" / "f" / "g" / "h" / "i"
    deep.mkdir(parents=True)
    file = os.open(deep / "file", os.O_RDWR | os.O_CREAT)
    long = os.open(deep / ("n" * 200), os.O_RDWR | os.O_CREAT)
    unix = socket.socket(socket.AF_UNIX)
    pipe = os.pipe()
    out = []
    for fd in (folder, file, long, unix.fileno(), pipe[0], os.open("/proc/self/stat", os.O_RDONLY), 900, -1, 2**31 - 1):
        try:
            inode, path = os.fstat(fd).st_ino, os.readlink(f"/proc/self/fd/{fd}")
        except (OSError, OverflowError):
            inode, path = None, None
        call(KCMP, fd, 0, 0, 0, 0)
        out.append({"inode": inode, "path": path if path and path.startswith("/") else None,
                    "family": int(unix.family) if fd == unix.fileno() else None})
    return out


def texts():
    out = []
    for name in (b"", b"/nonexistent", b"/x" * 100, b"/y" * 300, "/tmp/ünï".encode(), b"/a\tb\"c", b"/abc.so", b"/lib/abc"):
        call(OPENAT, -100, name, 0, 0)
        out.append({"name": name.decode()})
    call(OPENAT, -100, 8, 0, 0)  # no memory there
    out.append({"name": None})
    return out


def memory():
    words = (ctypes.c_int32 * 4)(-1, 2**31 - 1, 7, -(2**31))
    data = bytes(range(256)) * 2
    buffer = ctypes.create_string_buffer(data, len(data))
    call(KCMP, 0, 0, 0, ctypes.addressof(words), ctypes.addressof(buffer))
    call(KCMP, 0, 0, 0, 16, 16)
    return {"words": list(words), "data": data[:32].hex()}


def addresses():
    folder = tempfile.mkdtemp(prefix="rille-test-")
    known = []
    for family, address in ((socket.AF_UNIX, folder + "/s"), (socket.AF_UNIX, "\0hidden"), (socket.AF_INET, ("127.0.0.1", 0)),
                            (socket.AF_INET6, ("::1", 0))):
        s = socket.socket(family)
        try:
            s.bind(address)
        except OSError as e:
            known.append({"family": int(family), "errno": e.errno})
        else:
            known.append({"family": int(family), "errno": 0})
    return known


def identity():
    status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text("utf-8").splitlines())
    call(KCMP, 0, 0, 0, 0, 0)
    stat = pathlib.Path("/proc/self/stat").read_text("utf-8").rsplit(")", 1)[1].split()
    return {"pid": os.getpid(), "ppid": os.getppid(), "uid": os.getuid(), "gid": os.getgid(),
            "ns_pid": int(status["NSpid"].split()[-1]), "start_stack": int(stat[25]),
            "comm": status["Name"].strip(), "cgroup": os.stat(cgroup_folder()).st_ino if cgroup_folder() else None}


def cgroup_folder():
    line = [x for x in pathlib.Path("/proc/self/cgroup").read_text("utf-8").splitlines() if x.startswith("0::")]
    folder = "/sys/fs/cgroup" + line[0][3:] if line else ""
    return folder if os.path.exists(folder + "/cgroup.procs") else None


def sleeps():
    """Sleeps of a length, which begin in the call: one until a time, as of time.sleep(), may be shorter."""
    libc, out = ctypes.CDLL(None), []
    for nsecs in (20_000_000, 50_000_000):
        began = time.monotonic_ns()
        libc.clock_nanosleep(time.CLOCK_MONOTONIC, 0, struct.pack("qq", 0, nsecs), None)
        out.append({"least": nsecs, "most": time.monotonic_ns() - began})
    return out


def executes():
    child = os.fork()
    if not child:
        os.execv("/bin/true", ["true"])
    os.waitpid(child, 0)
    try:
        os.execv("/nonexistent/program", ["x"])
    except OSError:
        pass
    return {"child": child}


def closes():
    out = []
    for s in (socket.socket(socket.AF_UNIX), socket.socket(socket.AF_INET)):
        out.append({"fd": s.fileno(), "inode": os.fstat(s.fileno()).st_ino, "family": int(s.family)})
        s.close()
    return out


def old_calls():
    """getppid() by 32-bit code's way into the kernel, where it has another number."""
    code = b"\xb8\x40\x00\x00\x00\xcd\x80\xc3"  # mov $64, %eax; int $0x80; ret
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    call_page = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    child = os.fork()  # a kernel without them ends the process
    if not child:
        os._exit(0 if [call_page() for _ in range(5)] == [os.getppid()] * 5 else 1)
    return {"worked": os.waitpid(child, 0)[1] == 0}


PROGRAMS = {f.__name__: f for f in (sockets, descriptors, texts, memory, addresses, identity, sleeps, executes, closes, old_calls)}


class Functions(unittest.TestCase):
    def setUp(self):
        rille.need_trace()
        self.folder = tempfile.TemporaryDirectory(prefix="rille-test-")
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)
        self.path.chmod(0o755)

    def trace(self, program, probes, *options, parameters=""):
        """(what the program says, the events) with the probes given as the text of a Lua list."""
        source, output, said = self.path / "x.lua", self.path / "events", self.path / "said"
        source.write_text("return { params = { %s }, probes = { %s } }\n" % (parameters, probes), encoding="utf-8")
        said.touch()
        done = rille.run("run", source, "-q", "-o", f"jsonl:{output}", *options, "--", sys.executable, __file__, program, said)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(said.read_text(encoding="utf-8")), rille.events(output.read_text(encoding="utf-8"))

    def test_sockets(self):
        known, events = self.trace("sockets", """{ "syscall:socket",
            fields = { "fd = ret", "inode = fd_inode(ret)", "kernel_family = fd_family(fd)", "family" } }""")
        self.assertEqual([(k["fd"], k["inode"], k["family"], k["family"]) for k in known],
                         [(e["fd"], int(e["inode"]), e["kernel_family"], e["family"]) for e in events[-len(known):]])

    def test_descriptors(self):
        known, events = self.trace("descriptors", """{ "syscall:kcmp",
            fields = { "inode = fd_inode(pid1)", "path = fd_path(pid1)", "family = fd_family(pid1)" } }""")
        for k, e in zip(known, events, strict=True):
            inode = int(e["inode"]) if e["inode"] is not None else None
            self.assertEqual((k["inode"], k["path"], k["family"]), (inode, e["path"], e["family"]))

    def test_text(self):
        known, events = self.trace("texts", """{ "syscall:openat", where = "flags == 0 && dfd == -100",
            fields = { "filename", "same = filename == '/abc.so'", "short = str(args.filename, 8)",
                       "g1 = filename ~ '*.so'", "g2 = filename ~ '/*a?c*'", "g3 = filename ~ '/[l-x]*[!n]'",
                       "g4 = filename ~ '/nonexist*'", "g5 = filename in {'', '/abc.so'}" } }""")
        events = events[-len(known):]
        for k, e in zip(known, events, strict=True):
            name = k["name"]
            if name is None:
                self.assertEqual([e[f] for f in ("filename", "same", "short", "g1", "g5")], [None] * 5)
                continue
            cut = name.encode()[:255].decode(errors="replace")
            self.assertEqual(e["filename"], cut)
            self.assertEqual(e["same"], name == "/abc.so")
            self.assertEqual(e["g5"], name in ("", "/abc.so"))
            for field, pattern in (("g1", "*.so"), ("g2", "/*a?c*"), ("g3", "/[l-x]*[!n]"), ("g4", "/nonexist*")):
                if name.isascii():
                    self.assertEqual(e[field], fnmatch.fnmatchcase(cut, pattern), (cut, pattern))

    def test_text_parameters(self):
        names = ["/abc.so", "/lib/abc"]
        for pattern in ("*abc*", "/abc.so", "/?bc*", "*", "**b**", "*.so", "/lib/ab", "?lib?abc", ""):
            _, events = self.trace("texts", """{ "syscall:openat",
                where = "flags == 0 && dfd == -100 && filename in {'/abc.so', '/lib/abc'} && filename ~ $pattern",
                fields = { "filename", "same = filename == $pattern" } }""",
                "--pattern", pattern, parameters='{ "pattern", "string" }')
            self.assertEqual([(e["filename"], e["same"]) for e in events],
                             [(name, name == pattern) for name in names if fnmatch.fnmatchcase(name, pattern)], pattern)

    def test_lists(self):
        known, events = self.trace("sockets", """{ "syscall:socket",
            where = "(!$family || family in $family) && !$none && family in {1, 2, AF_INET6}", fields = { "family" } }""",
            "--family", "10,1", parameters='{ "family", "u64[]" }, { "none", "u64[]" }')
        self.assertEqual([e["family"] for e in events], [k["family"] for k in known if k["family"] in (10, 1)])

    def test_memory(self):
        known, events = self.trace("memory", """{ "syscall:kcmp", fields = { "words = s32(idx1, 4)", "second = words[1]",
            "third = s32(idx1, 4)[2]", "picked = words[pid1 + 3]", "outside = words[pid1 + 4]", "one = u16(idx1)",
            "bytes = buf(idx2, 32)", "negative = s64(idx1)", "kept = entry(s32(idx1, 2))" } }""")
        e = events[0]
        words = known["words"]
        self.assertEqual([e[f] for f in ("words", "second", "third", "picked", "outside", "kept")],
                         [words, words[1], words[2], words[3], None, words[:2]])
        self.assertEqual(e["one"], 65535)
        self.assertEqual(int(e["negative"]), struct.unpack("<q", struct.pack("<2i", *words[:2]))[0])
        self.assertIn(known["data"], json.dumps(e["bytes"]))
        for field in ("words", "second", "third", "picked", "one", "bytes", "negative", "kept"):
            self.assertIsNone(events[1][field], field)

    def test_addresses(self):
        known, events = self.trace("addresses", """{ "syscall:bind", fields = { "addr", "same = sockaddr(umyaddr, addrlen)",
            "family = u16(umyaddr)", "errno", "ret" } }""")
        for k, e in zip(known, events, strict=True):
            self.assertEqual((k["family"], k["errno"]), (e["family"], -e["ret"]))
            self.assertEqual(e["addr"], e["same"])
            self.assertIsNotNone(e["addr"])

    def test_identity(self):
        known, events = self.trace("identity", """{ "syscall:kcmp", fields = { "p = pid", "t = tid", "pp = ppid", "u = uid",
            "g = gid", "n = ns_pid", "c = comm", "cg = cgroup", "stack_start = task->mm->start_stack",
            "leader = task->group_leader->comm", "up = task->real_parent->tgid", "when = nsecs", "name = probe",
            "none = task->mm->exe_file->f_inode->i_sb->s_root->d_parent->d_parent != 0" } }""")
        e = events[-1]
        self.assertEqual([known[f] for f in ("pid", "pid", "ppid", "uid", "gid", "ns_pid", "comm", "comm", "ppid")],
                         [e[f] for f in ("p", "t", "pp", "u", "g", "n", "c", "leader", "up")])
        self.assertEqual(int(e["stack_start"], 0) if isinstance(e["stack_start"], str) else e["stack_start"], known["start_stack"])
        self.assertEqual(e["name"], "syscall:kcmp")
        self.assertLess(abs(int(e["when"]) - int(e["nsecs"])), 1_000_000_000)
        if known["cgroup"]:
            self.assertEqual(int(e["cg"]), known["cgroup"])

    def test_elapsed(self):
        known, events = self.trace("sleeps", """{ "syscall:clock_nanosleep", where = "elapsed > 10000000",
            fields = { "elapsed" } }""")
        self.assertEqual(len(known), len(events))
        for k, e in zip(known, events):
            self.assertLessEqual(k["least"], int(e["elapsed"]))
            self.assertLessEqual(int(e["elapsed"]), k["most"])

    def test_execve(self):
        """Its arguments are gone when it returns, and are there all the same."""
        known, events = self.trace("executes", """{ "syscall:execve", where = "filename ~ '/[bn]*'",
            fields = { "filename", "ret", "argv" } }""")
        self.assertEqual([(e["filename"], int(e["ret"])) for e in events if e["filename"] != sys.executable],
                         [("/bin/true", 0), ("/nonexistent/program", -2)])
        self.assertIn(known["child"], [e["pid"] for e in events])

    def test_entry(self):
        """What a call is about to end: the inode of a descriptor that close() closes."""
        known, events = self.trace("closes", """{ "syscall:close", where = "entry(fd_family(fd)) in {AF_UNIX, AF_INET}",
            fields = { "fd", "inode = entry(fd_inode(fd))", "gone = fd_inode(fd)", "family = entry(fd_family(fd))" } }""")
        self.assertEqual([(k["fd"], k["inode"], None, k["family"]) for k in known],
                         [(e["fd"], int(e["inode"]), e["gone"], e["family"]) for e in events])

    def test_compat(self):
        """Calls of 32-bit code have other numbers: they are not taken for others, and they are counted."""
        known, events = self.trace("old_calls", '{ "syscall:getppid" }, { "syscall:semget" }')  # 64 is semget here
        if not known["worked"]:
            self.skipTest("this kernel does not take calls of 32-bit code")
        self.assertEqual([e["probe"] for e in events if e["probe"] == "syscall:semget"], [])
        end = rille.records((self.path / "events").read_text(encoding="utf-8"))[-1]
        self.assertEqual(sum(probe["lost_compat"] for probe in end["probes"]), 5)

    def test_kernel_threads(self):
        """They have no user side: the record says so, and is whole."""
        output = self.path / "events"
        done = rille.run("-e", """{ "tracepoint:sched:sched_switch", where = "task->flags & 0x200000",
            fields = { "prev_comm" }, stack = "both" }""", "--limit", "20", "-d", "20s", "-o", f"jsonl:{output}")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("not understood", done.stderr)
        events = rille.events(output.read_text(encoding="utf-8"))
        self.assertEqual(len(events), 20)
        for event in events:
            self.assertEqual((event["ustack"], event["ustack_end"]), ([], "no-user"))
            self.assertEqual(event["prev_comm"], event["comm"])
            self.assertTrue(event["kstack"])

    def test_tracepoint(self):
        known, events = self.trace("executes", """{ "tracepoint:sched:sched_process_exec",
            where = "filename ~ '*/true'", fields = { "filename", "p = args.pid", "old = old_pid" } }""")
        self.assertEqual([(e["filename"], e["p"], e["old"]) for e in events], [("/bin/true", known["child"], known["child"])])


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in PROGRAMS:
        pathlib.Path(sys.argv[2]).write_text(json.dumps(PROGRAMS[sys.argv[1]]()), encoding="utf-8")
    else:
        unittest.main()
