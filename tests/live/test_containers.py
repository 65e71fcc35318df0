"""--container: what runs in a container is traced, and nothing else, whoever enters it and whatever is nested in it.

No container runtime is needed: what makes a container one for the kernel is its cgroup, and the test makes cgroups that are
called as Docker's are. The oracles are the traced program, which says the numbers of its processes, and /proc/PID/cgroup.
"""

import os
import pathlib
import subprocess
import tempfile
import unittest

import rille

SOCKETS = '{ "syscall:socket", where = "type == SOCK_DGRAM", fields = { "fd = ret" } }'
ID = "%08x%04x91c0b7de44556677889900112233445566778899001122334455"


def mounts(kind):
    with open("/proc/self/mounts", encoding="utf-8") as lines:
        words = [line.split() for line in lines]
    return [pathlib.Path(point) for _, point, type_, *_ in words if type_ == kind]


class Cgroup:
    """A cgroup of a made-up name, gone at the end."""

    def __init__(self, root, name):
        self.path = root
        self.made = []
        for part in name.split("/"):
            self.path = self.path / part
            if not self.path.exists():
                self.path.mkdir()
                self.made.append(self.path)

    def remove(self):
        for path in reversed(self.made):
            try:
                path.rmdir()
            except OSError:
                pass  # another test has something there


class Containers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rille.need_trace()
        cls.shop = rille.Workshop()
        cls.addClassCleanup(cls.shop.close)
        cls.sockets = cls.shop.compile("sockets.c", "-O2")
        cls.number = 0

    def cgroup(self, kind, form="docker/{}"):
        """A container's cgroup, and its id."""
        type(self).number += 1
        name = ID % (os.getpid(), self.number)
        for root in mounts(kind):
            try:
                made = Cgroup(root, form.format(name))
            except OSError:
                continue
            self.addCleanup(made.remove)
            return made.path, name
        self.skipTest(f"no writable cgroup hierarchy of type {kind}")

    def waiting(self, cgroup, *args):
        """The program in a cgroup, before its first call."""
        command = ["/bin/sh", "-c", 'echo $$ > "$0/cgroup.procs" && echo in && exec "$@"', cgroup, self.sockets, *map(str, args)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), "in\n")
        return process

    def counted(self, name, *processes, options=()):
        """(who said what, who was seen) of processes that are let go once they are traced."""
        with tempfile.NamedTemporaryFile("r", prefix="rille-events-") as out:
            tracer = rille.start("-e", SOCKETS, "--container", name, *options, "-o", f"jsonl:{out.name}")
            said = {}
            for process in processes:
                text, _ = (process() if callable(process) else process).communicate("\n", timeout=60)
                said |= {int(pid): int(count) for pid, count in (line.split() for line in text.splitlines())}
            tracer.terminate()
            _, errors = tracer.communicate(timeout=60)
            records = rille.records(out.read())
        seen = {}
        for event in records:
            if event["type"] == "event":
                seen[event["pid"]] = seen.get(event["pid"], 0) + 1
        return said, seen, errors

    def test_selection(self):
        """Those in the container, their children, and those in a container in it: each call. Those beside it: none."""
        path, name = self.cgroup("cgroup2")
        inner = Cgroup(path, "inner")
        self.addCleanup(inner.remove)
        beside, _ = self.cgroup("cgroup2")
        outside = self.waiting(beside, 30, 2)
        said, seen, errors = self.counted(name, self.waiting(path, 20, 3), self.waiting(inner.path, 10, 0), outside)
        own = {pid: count for pid, count in said.items() if count != 30}
        self.assertEqual(seen, own, errors)
        self.assertEqual(len(own), 8)

    def test_entering(self):
        """A process that enters the container after tracing has begun is traced as well."""
        path, name = self.cgroup("cgroup2")
        said, seen, errors = self.counted(name[:16], self.waiting(path, 5, 0), lambda: self.waiting(path, 7, 1))
        self.assertEqual(seen, said, errors)
        self.assertEqual(sorted(seen.values()), [5, 7, 7, 7])

    def test_pod(self):
        """A pod's uid chooses all of its containers."""
        pod = "2b48dc2b-5ef7-11e9-9b79-%012d" % os.getpid()
        form = f"kubepods/burstable/pod{pod}/{{}}"
        first, _ = self.cgroup("cgroup2", form)
        second, _ = self.cgroup("cgroup2", form)
        other, _ = self.cgroup("cgroup2")
        said, seen, errors = self.counted(pod, self.waiting(first, 3, 0), self.waiting(second, 4, 0), self.waiting(other, 9, 0))
        self.assertEqual(seen, {pid: count for pid, count in said.items() if count != 9}, errors)

    def test_pod_name(self):
        """A pod is known by the host name that its containers' root has, unless that is the machine's."""
        if subprocess.run(["unshare", "-m", "true"], check=False, stderr=subprocess.DEVNULL).returncode:
            self.skipTest("no mount namespaces here")
        pod, name = "2b48dc2b-5ef7-11e9-9b79-%012d" % os.getpid(), f"web-{os.getpid()}-x2"
        path, _ = self.cgroup("cgroup2", f"kubepods/pod{pod}/{{}}")
        hostname = self.shop.path / "hostname"
        hostname.write_text(name + "\n")
        command = ["unshare", "-m", "/bin/sh", "-c", 'mount --bind "$1" /etc/hostname && echo $$ > "$0/cgroup.procs" && echo in && '
                   'shift && exec "$@"', path, hostname, self.sockets, "3", "1"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), "in\n")
        said, seen, errors = self.counted(name, process)
        self.assertEqual(seen, said, errors)
        self.assertEqual(len(said), 3)

    def test_version_1(self):
        """Where only version 1 has the container, its processes of now and their children are traced, and that is said."""
        path, name = self.cgroup("cgroup")
        process = self.waiting(path, 6, 2)
        with open(f"/proc/{process.pid}/cgroup", encoding="utf-8") as lines:
            self.assertNotIn(name, next((line for line in lines if line.startswith("0::")), ""))
        said, seen, errors = self.counted(name, process)
        self.assertEqual(seen, said)
        self.assertIn("no cgroup of version 2", errors)

    def test_open(self):
        """`rille open --container`: the descriptors of the container's processes, as in /proc, and no others."""
        path, name = self.cgroup("cgroup2")
        process = self.waiting(path, 1, 0)
        done = rille.run("open", "--container", name, "--now", "--format", "jsonl")
        self.assertEqual(done.returncode, 0, done.stderr)
        shown = {(record["pid"], record["fd"]) for record in rille.records(done.stdout) if "fd" in record}
        self.assertEqual(shown, {(process.pid, int(fd)) for fd in os.listdir(f"/proc/{process.pid}/fd")})

    def test_field(self):
        """`--fields container` and ev.container say where an event's process is, in every format that has fields."""
        path, name = self.cgroup("cgroup2")
        outs = {form: self.shop.path / f"field.{form}" for form in ("text", "jsonl", "csv")}
        inner, outer = self.waiting(path, 2, 1), self.waiting(path.parent, 3, 0)
        script = self.shop.path / "where.lua"
        script.write_text("""return { probes = { { "syscall:socket", where = "type == SOCK_DGRAM", fields = { "fd = ret" },
            on_event = function(ev, out) out:emit(ev) out:row { process = ev.pid, where = ev.container or "nowhere" } end } } }""")
        tracer = rille.start("run", script, "-p", inner.pid, "-p", outer.pid, "--fields", "container,fd",
                             *[word for form, file in outs.items() for word in ("-o", f"{form}:{file}")])
        said, _ = inner.communicate("\n", timeout=60)
        inside = {int(line.split()[0]) for line in said.splitlines()}  # and its children, who are gone when they are asked for
        outer.communicate("\n", timeout=60)
        _, errors = tracer.communicate(timeout=60)
        self.assertEqual(tracer.returncode, 0, errors)
        label = "docker:" + name[:12]
        records = rille.records(outs["jsonl"].read_text())
        seen = {(record["pid"], record["container"]) for record in records if record["type"] == "event"}
        self.assertEqual(seen, {*((pid, label) for pid in inside), (outer.pid, None)})
        self.assertEqual(len(inside), 3)
        rows = {(record["process"], record["where"]) for record in records if record["type"] == "row"}
        self.assertEqual(rows, {*((pid, label) for pid in inside), (outer.pid, "nowhere")})
        self.assertEqual(outs["text"].read_text().count(f" container={label} fd="), 6)
        self.assertEqual(outs["text"].read_text().count(" container=- fd="), 3)
        lines = outs["csv"].read_text().splitlines()
        self.assertEqual(lines[0], "time,probe,pid,tid,comm,container,fd")
        self.assertEqual(sum(f",{label}," in line for line in lines), 6)
        done = rille.run("-e", SOCKETS, "--fields", "containr", "-d", "1ms")
        self.assertIn("did you mean 'container'", done.stderr)

    def test_names(self):
        """A container that is not there: an error with the nearest name. A start that fits several: an error."""
        path, name = self.cgroup("cgroup2")
        beside, other = self.cgroup("cgroup2")
        self.waiting(path, 1, 0)
        self.waiting(beside, 1, 0)
        wrong = name[:10] + "z" + name[11:-1]
        done = rille.run("-e", SOCKETS, "--container", wrong, "-d", "1ms")
        self.assertEqual(done.returncode, 1)
        self.assertIn("[no-container]", done.stderr)
        self.assertRegex(done.stderr, f"did you mean '({name[:-1]}|{other[:-1]})'")
        start = os.path.commonprefix([name, other])
        done = rille.run("-e", SOCKETS, "--container", start, "-d", "1ms")
        self.assertIn("[ambiguous-container]", done.stderr)
        for args in (("-p", os.getpid()), ("--", "true")):
            self.assertIn("exclude each other", rille.run("-e", SOCKETS, "--container", name, *args).stderr)


if __name__ == "__main__":
    unittest.main()
