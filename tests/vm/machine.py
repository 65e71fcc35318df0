"""A throw-away machine with another kernel: Debian's, booted in qemu with an initramfs that holds what is under test.

Nothing is installed and nothing is left but a cache of the packages: the kernel and busybox are fetched with
`apt-get download` and unpacked beside the build. The guest has no disk and no network; its first process is a shell
script that runs the checks, one after another, and tells their output on the second serial port, so that what the kernel
prints on the first does not mix with it. qemu emulates: KVM inside a virtual machine often does not work, and hangs.
"""

import functools
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile

RILLE = pathlib.Path(os.environ.get("RILLE", "build/rille")).resolve()
RILLE_CC = pathlib.Path(os.environ.get("RILLE_CC", RILLE.parent / "engine/cc/rille-cc")).resolve()
CACHE = pathlib.Path(os.environ.get("RILLE_VM_CACHE", RILLE.parent / "vm"))
BOOT_SECONDS = 280

INIT = """#!/bin/sh
export PATH=/bin HOME=/root RILLE_CC=/bin/rille-cc
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t securityfs security /sys/kernel/security
mount -t tmpfs tmp /tmp
exec >/dev/ttyS1 2>&1 </dev/null
stty -F /dev/ttyS1 raw
ip link set lo up
for check in /checks/*; do
  echo "@@ begin ${check##*/}"
  timeout 120 sh "$check" 2>/tmp/stderr
  code=$?
  echo "@@ stderr"
  cat /tmp/stderr
  echo "@@ exit $code"
done
echo "@@ done"
poweroff -f
"""


# The compiler may use ten seconds of CPU time. On a busy machine the emulated one counts what it waited, too.
PATIENT = """#!/bin/sh
for try in 1 2 3 4; do
  "$@" 2>/tmp/patient
  code=$?
  grep -q '\\[compiler-limit\\]' /tmp/patient || break
done
cat /tmp/patient >&2
exit $code
"""


class Unavailable(Exception):
    """Why there is no machine: the reason of a skip."""


class Result:
    """What one check printed, and how it ended."""

    def __init__(self, out, err, code):
        self.out, self.err, self.code = out, err, code

    def __str__(self):
        return f"exit {self.code}\n--- stdout\n{self.out}--- stderr\n{self.err}"


# --- packages ------------------------------------------------------------------------------------------------------


def run(command, cwd=None):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"{' '.join(map(str, command))}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def unpacked(package):
    """The folder with a Debian package's files; fetched once."""
    place = CACHE / package
    if place.is_dir():
        return place
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Unavailable("no apt-get to fetch packages with")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        run(["apt-get", "download", package], cwd=work)
        files = pathlib.Path(work) / "files"
        run(["dpkg-deb", "-x", str(next(pathlib.Path(work).glob("*.deb"))), str(files)])
        files.rename(place)
    return place


@functools.cache
def kernel():
    """The path of Debian's current kernel; the meta package says which that is."""
    found = re.search(r"Depends: (linux-image-\S+)", run(["apt-cache", "depends", "linux-image-amd64"]))
    if not found:
        raise Unavailable("no linux-image-amd64 to be had")
    return next((unpacked(found[1]) / "boot").glob("vmlinuz-*"))


# --- the initramfs --------------------------------------------------------------------------------------------------


class Archive:
    """A cpio archive in the "newc" format (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst)."""

    def __init__(self):
        self.entries = {}

    def _parents(self, path):
        for parent in reversed(pathlib.PurePosixPath(path).parents):
            if str(parent) not in (".", "/"):
                self.entries.setdefault(str(parent), (stat.S_IFDIR | 0o755, b""))

    def add(self, path, data, mode=0o755):
        path = str(path).lstrip("/")
        self._parents(path)
        self.entries[path] = (stat.S_IFREG | mode, data if isinstance(data, bytes) else data.encode())

    def link(self, path, target):
        self._parents(path)
        self.entries[path] = (stat.S_IFLNK | 0o777, target.encode())

    def directory(self, path):
        self._parents(path + "/x")

    def add_program(self, path, source):
        """A program, and the shared libraries it needs at the places where it looks for them."""
        self.add(path, pathlib.Path(source).read_bytes())
        libraries = subprocess.run(["ldd", source], capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"(?:=> )?(/\S+) \(0x", libraries):
            self.add(library, pathlib.Path(library).resolve().read_bytes())

    def write(self, path):
        with open(path, "wb") as out:
            for number, (name, (mode, data)) in enumerate([*self.entries.items(), ("TRAILER!!!", (0, b""))], 1):
                encoded = name.encode() + b"\0"
                fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0]
                out.write(b"070701" + b"".join(b"%08x" % f for f in fields) + encoded)
                out.write(b"\0" * (-(110 + len(encoded)) % 4) + data + b"\0" * (-len(data) % 4))


def initramfs(path, checks, programs):
    archive = Archive()
    busybox = unpacked("busybox-static") / "bin/busybox"
    archive.add("bin/busybox", busybox.read_bytes())
    for applet in set(run([str(busybox), "--list"]).split()) - {"busybox"}:
        archive.link(f"bin/{applet}", "busybox")
    for folder in ("proc", "sys", "dev", "tmp", "root", "etc"):
        archive.directory(folder)
    archive.add("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n", 0o644)
    archive.add("init", INIT)
    archive.add("bin/patient", PATIENT)
    archive.add_program("bin/rille", RILLE)
    archive.add_program("bin/rille-cc", RILLE_CC)
    for name, source in programs.items():
        archive.add_program(f"bin/{name}", source)
    for name, script in checks.items():
        archive.add(f"checks/{name}", script)
    archive.write(path)


# --- the machine ----------------------------------------------------------------------------------------------------


def parse(text):
    results = {}
    for name, out, err, code in re.findall(
            r"^@@ begin (\S+)\n(.*?)^@@ stderr\n(.*?)^@@ exit (\d+)$", text, re.M | re.S):
        results[name] = Result(out, err, int(code))
    return results


def boot(checks, programs, append=""):
    """Runs each check (name → shell script) in a fresh machine: name → Result, in the order of the names."""
    qemu = shutil.which("qemu-system-x86_64")
    if not qemu or os.uname().machine != "x86_64":
        raise Unavailable("no qemu-system-x86_64")
    for needed in (RILLE, RILLE_CC):
        if not needed.exists():
            raise Unavailable(f"{needed.name} is not built")
    with tempfile.TemporaryDirectory(prefix="rille-vm-") as work:
        image, console, output = (os.path.join(work, n) for n in ("initramfs", "console", "output"))
        initramfs(image, checks, programs)
        command = [
            qemu, "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "1536",
            "-nodefaults", "-no-reboot", "-display", "none", "-kernel", str(kernel()), "-initrd", image,
            "-serial", f"file:{console}", "-serial", f"file:{output}",
            "-append", f"console=ttyS0 panic=-1 quiet {append}"]
        try:
            subprocess.run(command, timeout=BOOT_SECONDS, capture_output=True, check=False)
        except subprocess.TimeoutExpired:
            pass
        with open(output, encoding="utf-8", errors="replace") as f:
            text = f.read().replace("\r", "")
        if "@@ done" not in text:
            with open(console, encoding="utf-8", errors="replace") as f:
                raise AssertionError(f"the machine did not finish:\n{text[-2000:]}\n--- console\n{f.read()[-3000:]}")
        return parse(text)
