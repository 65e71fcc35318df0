"""rille.proc and rille.sock: what a callback is told of a process and its sockets is what /proc says, and what the program and the
test themselves know of the sockets between them."""

import json
import os
import socket
import subprocess
import sys
import time
import unittest

import rille

TARGET = """
import json, os, socket, sys
one, two = socket.socketpair()
there = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
sys.stdin.readline()
os.getppid()
print(json.dumps([one.fileno(), two.fileno(), there.fileno()]), flush=True)
sys.stdin.readline()
"""
SCRIPT = """
local pid
return { probes = { { "syscall:getppid", where = "pid == $target", on_event = function(ev, out) pid = ev.pid out:stop() end } },
params = { { "target", "u32" } }, on_end = function(out)
  for _, d in ipairs(rille.proc.descriptors(pid)) do
    out:row { { "what", "fd" }, { "fd", d.fd }, { "kind", d.kind }, { "inode", d.inode }, { "path", d.path } }
    local state = d.kind == "socket" and rille.sock.state(d.inode, pid)
    if state then
      local peer = rille.sock.peer(d.inode, pid) or {}
      out:row { { "what", "socket" }, { "fd", d.fd }, { "family", state.family }, { "kind", state.type }, { "state", state.state },
        { "local", state["local"] }, { "remote", state.remote }, { "peer", peer.pid }, { "peer_fd", peer.fd },
        { "peer_inode", peer.inode }, { "same", state.peer == peer.inode } }
    end
  end
  for _, m in ipairs(rille.proc.maps(pid)) do
    out:row { { "what", "map" }, { "start", m.start }, { "stop", m.stop }, { "perms", m.perms }, { "path", m.path } }
  end
  out:row { { "what", "started" }, { "at", rille.proc.started(pid) } }
  local container, why = rille.proc.container(pid)
  out:row { { "what", "container" }, { "none", container == nil and why == nil } }
  local gone = { rille.proc.descriptors(0x3fffffff) }
  out:row { { "what", "gone" }, { "value", gone[1] }, { "why", gone[2] }, { "maps", select(2, rille.proc.maps(0x3fffffff)) },
    { "started", select(2, rille.proc.started(0x3fffffff)) }, { "state", select(2, rille.sock.state(1)) } }
end }
"""


class Processes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rille.need_trace()
        cls.shop = rille.Workshop()
        cls.addClassCleanup(cls.shop.close)

    def test_all(self):
        """Descriptors, mappings, start, sockets and who is at their other end."""
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        script = self.shop.path / "processes.lua"
        script.write_text(SCRIPT)
        before = time.time_ns()
        target = subprocess.Popen([sys.executable, "-S", "-c", TARGET, str(server.getsockname()[1])], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        self.addCleanup(target.wait)
        self.addCleanup(target.kill)
        here, _ = server.accept()
        self.addCleanup(here.close)
        after = time.time_ns()
        tracer = rille.start("run", script, "--format", "jsonl", f"--target={target.pid}")
        target.stdin.write("\n")
        target.stdin.flush()
        one, two, there = json.loads(target.stdout.readline())
        text, errors = tracer.communicate(timeout=60)
        self.assertEqual(tracer.returncode, 0, errors)
        rows = {}
        for record in rille.records(text):
            if record["type"] == "row":
                rows.setdefault(record["what"], []).append(record)
        self.check_descriptors(target.pid, rows["fd"])
        self.check_maps(target.pid, rows["map"])
        self.check_sockets(target.pid, {row["fd"]: row for row in rows["socket"]}, (one, two, there), here)
        self.assertTrue(before - 20_000_000 <= rows["started"][0]["at"] <= after + 20_000_000)
        self.assertEqual([row["none"] for row in rows["container"]], [self.is_free(target.pid)])
        gone = rows["gone"][0]
        self.assertIsNone(gone["value"])
        self.assertIn("no process", gone["why"].lower())
        self.assertEqual((gone["maps"], gone["started"]), ("No such process", "No such process"))
        self.assertIn("inode 1", gone["state"])

    @staticmethod
    def is_free(pid):
        """Whether a process is in no container, by its cgroups having no 64 hexadecimal digits: enough for here."""
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as lines:
            return not any(len(part) >= 64 for part in lines.read().replace("-", "/").replace(".", "/").split("/"))

    def check_descriptors(self, pid, rows):
        links = {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        self.assertEqual({row["fd"] for row in rows}, set(links))
        for row in rows:
            link = links[row["fd"]]
            self.assertEqual(link, row["path"] if row["path"] else f"{row['kind']}:[{row['inode']}]")

    def check_maps(self, pid, rows):
        with open(f"/proc/{pid}/maps", encoding="utf-8") as lines:
            expected = []
            for line in lines:
                words = line.split(maxsplit=5)
                start, stop = (int(word, 16) for word in words[0].split("-"))
                expected.append((start, stop, words[1][:3], words[5].rstrip("\n") if len(words) > 5 else None))
        most = 2**64 - 1  # Lua's integers are signed: [vsyscall] is above 2^63
        self.assertEqual([(row["start"] & most, row["stop"] & most, row["perms"], row["path"]) for row in rows], expected)

    def check_sockets(self, pid, rows, numbers, here):
        one, two, there = numbers
        inode = {fd: int(os.readlink(f"/proc/{pid}/fd/{fd}")[8:-1]) for fd in numbers}
        for fd, other in ((one, two), (two, one)):
            row = rows[fd]
            self.assertEqual((row["family"], row["kind"], row["peer"], row["peer_fd"], row["peer_inode"]),
                             ("AF_UNIX", "SOCK_STREAM", pid, other, inode[other]))
        row = rows[there]
        self.assertEqual((row["family"], row["state"], row["peer"], row["peer_fd"], row["peer_inode"]),
                         ("AF_INET", "ESTABLISHED", os.getpid(), here.fileno(), os.fstat(here.fileno()).st_ino))
        self.assertEqual((row["local"], row["remote"]), ("%s:%d" % here.getpeername(), "%s:%d" % here.getsockname()))
        self.assertTrue(all(row["same"] for row in rows.values()))

    def test_declare(self):
        """The first phase has no business with processes."""
        done = rille.run("check", "-e", '{ "syscall:bind", where = tostring(rille.proc.started(1)) }')
        self.assertEqual(done.returncode, 2)
        self.assertIn("only callbacks can ask for processes", done.stderr)


if __name__ == "__main__":
    unittest.main()
