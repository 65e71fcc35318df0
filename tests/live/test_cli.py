"""The command as a program among others: exit statuses, streams, signals, outputs, help."""

import json
import os
import pathlib
import pty
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import rille

GETPPID = '{ "syscall:getppid" }'
# A process that calls getppid() N times, and one that does so until it is killed.
CALLER = "import os, sys\nfor _ in range(int(sys.argv[1])): os.getppid()\nprint('done', flush=True)"
FOREVER = "import os, time\nprint('here', flush=True)\nwhile True:\n    os.getppid()\n    time.sleep(0.001)"


def caller(count):
    return [sys.executable, "-c", CALLER, str(count)]


def gone(pid):
    """Whether a process has ended, be it that nobody has asked for its status."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split()[2] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def forever(test):
    process = subprocess.Popen([sys.executable, "-c", FOREVER], stdout=subprocess.PIPE, text=True)
    test.addCleanup(process.stdout.close)
    test.addCleanup(process.wait)
    test.addCleanup(process.kill)
    process.stdout.readline()
    return process


class Usage(unittest.TestCase):
    """What needs no privileges."""

    def check(self, status, words, *args, **options):
        done = rille.run(*args, **options)
        self.assertEqual(done.returncode, status, (args, done.stdout, done.stderr))
        for word in words:
            self.assertIn(word, done.stderr)
        return done

    def test_help(self):
        """Help goes to standard output, with examples; without arguments the usage goes to standard error."""
        text = self.check(0, [], "--help").stdout
        for word in ("usage: rille run", "Examples:", "--duration", "Exit status"):
            self.assertIn(word, text)
        self.assertEqual(self.check(0, [], "help").stdout, text)
        for command in ("run", "list", "check", "emit", "doctor"):
            self.assertIn(f"usage: rille {command}", self.check(0, [], command, "--help").stdout)
            self.assertEqual(self.check(0, [], "help", command).stdout, self.check(0, [], command, "--help").stdout)
        self.assertEqual(self.check(2, ["usage: rille run"]).stdout, "")
        self.assertRegex(self.check(0, [], "--version").stdout, r"^rille \d+\.\d+\.\d+\n$")

    def test_help_of_a_script(self):
        """A script's parameters are in its help, and its summary."""
        text = self.check(0, [], "run", "socket", "--help").stdout
        for word in ("--family", "--failed", "Parameters of the script"):
            self.assertIn(word, text)
        script = 'return { summary = "mine", params = { { "how_many", "u32", help = "so many" } }, probes = { %s } }'
        text = self.check(0, [], "run", "-", "--help", input=script % GETPPID, stdin=None).stdout
        self.assertIn("mine", text)
        self.assertRegex(text, r"--how_many u32 +so many")

    def test_usage_errors(self):
        """Wrong usage is status 2, says what and where help is, and traces nothing."""
        for args, words in [
            (["runn"], ["no command 'runn'"]),
            (["mine.lua"], ["rille run mine.lua"]),
            (["run"], ["which script"]),
            (["run", "--nonsense", "socket"], ["--nonsense"]),
            (["run", "socket", "extra"], ["extra", "--"]),
            (["run", "socket", "-d", "soon"], ["soon", "5s"]),
            (["run", "socket", "-d", "-1"], ["-1"]),
            (["run", "socket", "-p", "many"], ["many"]),
            (["run", "socket", "-p", "0"], ["0"]),
            (["run", "socket", "-u", "no-such-user"], ["no-such-user"]),
            (["run", "socket", "-o"], ["-o"]),
            (["run", "socket", "--color", "blue"], ["blue"]),
            (["run", "socket", "--stack", "sideways"], ["sideways"]),
            (["run", "socket", "--timestamp", "sundial"], ["sundial"]),
            (["run", "socket", "--depth", "many"], ["many"]),
            (["run", "socket", "--limit", "few"], ["few"]),
            (["run", "socket", "--ring", "12x"], ["12x", "64M"]),
            (["run", "socket", "--ring", "2G"], ["2G", "1G"]),
            (["run", "socket", "--ready-fd", "77"], ["77"]),
            (["run", "socket", "-p", "1", "--", "true"], ["exclude"]),
            (["run", "-e", GETPPID, "socket"], ["socket"]),
            (["list", "nothing", "else"], ["else"]),
            (["doctor", "quickly"], ["quickly"]),
            (["check", "socket", "--", "true"], ["run"]),
        ]:
            with self.subTest(args=args):
                done = self.check(2, words, *args)
                self.assertEqual(done.stdout, "")

    def test_script_errors(self):
        """An error in a script has its place, the source line, a caret and the nearest name."""
        for args, words in [
            (["run", "sokcet"], ["sokcet", "socket"]),
            (["run", "/nowhere/mine.lua"], ["/nowhere/mine.lua"]),
            (["run", "socket", "--famly", "AF_UNIX"], ["famly", "family"]),
            (["run", "socket", "--family", "AF_UNXI"], ["AF_UNXI"]),
            (["check", "-e", '{ "syscall:socket", fields = { "famly" } }'], ["famly", "family", "^"]),
            (["check", "-e", '{ "syscall:sokcet" }'], ["sokcet", "socket", "^"]),
            (["check", "-e", '{ "syscall:socket", wehre = "1" }'], ["wehre", "where"]),
            (["check", "-e", '{ "syscall:socket" '], ["-e"]),
            (["check", "socket", "--filter", "famly == 1"], ["famly", "--filter"]),
        ]:
            with self.subTest(args=args):
                self.check(2, words, *args)

    def test_check(self):
        self.check(0, ["no errors"], "check", "socket")
        self.assertEqual(self.check(0, [], "check", "socket", "-q").stderr, "")

    def test_list(self):
        """Recipes, probes by glob, arguments with their C types."""
        recipes = self.check(0, [], "list").stdout
        for name in ("socket", "socketpair", "bind", "unix"):
            self.assertRegex(recipes, rf"(?m)^{name} +\w")
        probes = self.check(0, [], "list", "probes", "syscall:*bind*").stdout.split()
        self.assertIn("syscall:bind", probes)
        text = self.check(0, [], "list", "-v", "syscall:bind").stdout
        for pattern in (r"int fd\n", r"struct sockaddr \*umyaddr\n", r"ret  \(at exit\)"):
            self.assertRegex(text, pattern)
        self.check(2, ["nosuchcall"], "list", "probes", "syscall:nosuchcall")

    def test_closed_standard_output(self):
        """A reader that goes away is not an error; a full disk is."""
        done = subprocess.run(f"{rille.RILLE} list -v probes 'syscall:*' | head -1", shell=True, capture_output=True,
                              text=True, check=False, executable="/bin/bash")
        self.assertEqual(done.stderr, "")
        with open("/dev/full", "w", encoding="utf-8") as full:
            self.check(1, ["standard output", "No space left"], "list", stdout=full)

    def test_man_page(self):
        """man finds nothing to complain about, and every option is in the page."""
        page = rille.TESTS.parent / "docs" / "man" / "rille.1"
        if shutil.which("man"):
            done = subprocess.run(["man", "-l", "--warnings", str(page)], capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        text = re.sub(r"\bFl Fl ", "--", page.read_text(encoding="utf-8"))
        for command in ("run", "emit"):
            for option in re.findall(r"--[a-z][a-z-]+", self.check(0, [], command, "--help").stdout):
                if option not in ("--eval",):
                    self.assertIn(option, text)

    def test_bash_completion(self):
        """Commands, a recipe's parameters, values."""
        script = rille.TESTS.parent / "engine" / "cli" / "completions" / "rille.bash"
        with tempfile.TemporaryDirectory() as folder:
            os.symlink(rille.RILLE, f"{folder}/rille")
            for words, wanted in [
                (["rille", "r"], "run"),
                (["rille", "run", "sock"], "socket"),
                (["rille", "run", "socket", "--fam"], "--family"),
                (["rille", "run", "socket", "--stack", "k"], "kernel"),
                (["rille", "list", "probes", "syscall:socketp"], "syscall:socketpair"),
            ]:
                quoted = " ".join(f"'{word}'" for word in words)
                text = (f"source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _rille rille; "
                        'printf "%s\\n" "${COMPREPLY[@]}"')
                done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True,
                                      env=dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}"))
                self.assertIn(wanted, done.stdout.split(), (words, done.stderr))


    def test_zsh_completion(self):
        if not shutil.which("zsh"):
            self.skipTest("zsh is not installed")
        script = rille.TESTS.parent / "engine" / "cli" / "completions" / "_rille"
        done = subprocess.run(["zsh", "-n", script], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class Unprivileged(unittest.TestCase):
    def test_no_root(self):
        """Without privileges: status 3 and a word on what is missing; check works."""
        if os.geteuid() != 0 or not shutil.which("setpriv"):
            self.skipTest("needs root and setpriv to become someone without privileges")
        with tempfile.TemporaryDirectory(prefix="rille-test-") as folder:
            os.chmod(folder, 0o755)
            command = shutil.copy(rille.RILLE, folder)  # the build folder need not be readable by everyone
            nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
            env = {key: value for key, value in os.environ.items() if not key.startswith("RILLE_CACHE")}
            env.update(HOME="/nonexistent")
            if "RILLE_CC" in env:
                env["RILLE_CC"] = shutil.copy(env["RILLE_CC"], folder)
            done = subprocess.run([*nobody, command, "run", "-e", GETPPID, "-d", "1s"], capture_output=True, text=True,
                                  check=False, env=env)
            self.assertEqual(done.returncode, 3, done)
            self.assertRegex(done.stderr, "root|CAP_")
            self.assertEqual(done.stdout, "")
            done = subprocess.run([*nobody, command, "check", "socket"], capture_output=True, text=True, check=False,
                                  env=env)
            self.assertEqual(done.returncode, 0, done)
            done = subprocess.run([*nobody, command, "doctor"], capture_output=True, text=True, check=False, env=env)
            self.assertEqual(done.returncode, 3, done)


class Traced(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        rille.need_trace()


class Command(Traced):
    """The command behind --."""

    def test_status(self):
        """Its status is ours; 128 + signal if one ended it; 126 and 127 as env(1)."""
        for command, status in [
            (["true"], 0),
            (["sh", "-c", "exit 42"], 42),
            (["sh", "-c", "kill -TERM $$"], 143),
            (["/nonexistent/program"], 127),
            (["no-such-program-anywhere"], 127),
            (["/etc/passwd"], 126),
            (["/"], 126),
        ]:
            with self.subTest(command=command):
                done = rille.run("-e", GETPPID, "-q", "--", *command)
                self.assertEqual(done.returncode, status, done.stderr)
                env = subprocess.run(["env", *command], check=False, stderr=subprocess.DEVNULL).returncode
                self.assertEqual(status if status != 143 else -15, env if env != 143 else -15)
                if status in (126, 127):
                    self.assertIn(command[0], done.stderr)

    def test_from_the_first_instruction(self):
        """The system calls of the command are those that strace sees, from its execve() to its exit: none of ours before."""
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")
        probe = '{ "tracepoint:raw_syscalls:sys_enter", fields = { "id" } }'
        done = rille.run("-e", probe, "-q", "--format", "jsonl", "--", "true")
        self.assertEqual(done.returncode, 0, done.stderr)
        traced = [event["id"] for event in rille.events(done.stdout)]
        with tempfile.NamedTemporaryFile("r", prefix="rille-strace-") as out:
            subprocess.run(["strace", "-n", "-o", out.name, "true"], check=True)
            seen = [int(m[1]) for line in out if (m := re.match(r"\[ *(\d+)\] \w+\(", line))]
        self.assertEqual(traced, seen)

    def test_only_the_command(self):
        """Its children are traced, nobody else is; --no-follow leaves the children out."""
        forever(self)
        script = "sh -c 'exec {0} -c \"import os; os.getppid()\"' ; exec {0} -c 'import os; os.getppid(); os.getppid()'"
        command = ["sh", "-c", script.format(sys.executable)]
        done = rille.run("-e", '{ "syscall:getppid" }', "--format", "jsonl", "--", *command)
        names = [event["comm"] for event in rille.events(done.stdout) if event["comm"].startswith("python")]
        self.assertEqual(len(names), 3, done.stdout)
        done = rille.run("-e", '{ "syscall:getppid" }', "--format", "jsonl", "--no-follow", "--", *command)
        names = [event["comm"] for event in rille.events(done.stdout) if event["comm"].startswith("python")]
        self.assertEqual(len(names), 2, done.stdout)

    def test_as_the_invoking_user(self):
        """Under sudo the command runs as who called it, with that user's groups and home, and cannot get back."""
        user = next((u for u in pwd.getpwall() if u.pw_uid >= 1000 and u.pw_uid < 60000), pwd.getpwnam("nobody"))
        env = dict(os.environ, SUDO_UID=str(user.pw_uid), SUDO_GID=str(user.pw_gid), SUDO_USER=user.pw_name)
        script = "id -u; id -g; echo $HOME; grep CapEff /proc/self/status; grep NoSuch /dev/null"
        done = rille.run("-e", GETPPID, "-q", "-o", "/dev/null", "--", "sh", "-c", script, env=env, cwd="/")
        lines = done.stdout.split("\n")
        self.assertEqual(lines[:3], [str(user.pw_uid), str(user.pw_gid), user.pw_dir], done.stderr)
        self.assertEqual(int(lines[3].split()[1], 16), 0)
        self.assertEqual(done.returncode, 1)
        # A made-up identity is no way up or sideways for someone else: it is only believed as root.
        done = rille.run("-e", GETPPID, "-q", "--", "true", env=dict(env, SUDO_GID="x"))
        self.assertEqual(done.returncode, 125, done.stderr)

    def test_streams(self):
        """The command has our standard streams, default signals, and none of our descriptors."""
        script = ("import os, signal, sys\n"
                  "print(sys.stdin.read(), end='')\n"
                  "print(sorted(int(f) for f in os.listdir('/proc/self/fd')))\n"
                  "print(signal.getsignal(signal.SIGINT) == signal.default_int_handler)\n"
                  "print(open('/proc/self/status').read())")
        done = rille.run("-e", GETPPID, "-q", "-o", "/dev/null", "--", sys.executable, "-c", script, stdin=None,
                         input="text\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("text\n", done.stdout)
        self.assertIn("[0, 1, 2, 3]", done.stdout)  # 3 is the listing's own
        self.assertRegex(done.stdout, r"SigBlk:\s+0000000000000000")
        # ignored are those that we ignore, too, and which Python does
        def ignored(status):
            return int(re.search(r"SigIgn:\s+([0-9a-f]+)", status)[1], 16)
        here = ignored(pathlib.Path("/proc/self/status").read_text(encoding="ascii"))
        self.assertEqual(ignored(done.stdout) | here, here)

    def test_signals(self):
        """A signal to us reaches the command; its status is ours."""
        script = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\nprint('x', flush=True)\n" \
                 "time.sleep(60)"
        tracer = rille.start("-e", GETPPID, "-q", "-o", "/dev/null", "--", sys.executable, "-c", script)
        self.assertEqual(tracer.stdout.readline(), "x\n")
        tracer.send_signal(signal.SIGTERM)
        tracer.communicate(timeout=60)
        self.assertEqual(tracer.returncode, 7)

    def test_terminal(self):
        """Ctrl-C in a terminal reaches both: the command ends by it, the trace with its report, once."""
        caught = 'trap "echo caught; exit 5" INT; echo here; while :; do sleep 0.05; done'
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(rille.RILLE, [rille.RILLE, "-e", GETPPID, "--", "sh", "-c", caught])
        self.addCleanup(os.close, terminal)
        seen = b""
        while b"here" not in seen:
            seen += os.read(terminal, 4096)
        os.write(terminal, b"\x03")
        try:
            while data := os.read(terminal, 4096):
                seen += data
        except OSError:  # the other end is closed
            pass
        _, status = os.waitpid(pid, 0)
        self.assertEqual(os.waitstatus_to_exitcode(status), 5, seen)
        self.assertEqual(seen.count(b"caught"), 1)
        self.assertIn(b"syscall:getppid: seen", seen)

    def test_hangup_is_the_commands(self):
        """SIGHUP goes to the command, and does not end the trace if it does not end the command."""
        script = ("import os, signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])\nprint('x', flush=True)\n"
                  "signal.sigwait([signal.SIGHUP])\nos.getppid()\nos.getppid()")
        tracer = rille.start("-e", GETPPID, "-q", "-o", "/dev/stderr", "--", sys.executable, "-c", script)
        self.assertEqual(tracer.stdout.readline(), "x\n")
        tracer.send_signal(signal.SIGHUP)
        _, err = tracer.communicate(timeout=60)
        self.assertEqual(tracer.returncode, 0)
        self.assertEqual(err.count("syscall:getppid"), 2, err)

    def test_left_behind(self):
        """What the command leaves behind is traced to its end; the status is the command's, and the user is told."""
        script = f"({sys.executable} -c 'import os, time; time.sleep(3); os.getppid()') & exit 3"
        done = rille.run("-e", GETPPID, "--", "sh", "-c", script, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 3)
        self.assertEqual(done.stdout.count(" python3 "), 1, done.stdout)
        self.assertIn("sh has ended, processes that it started have not", done.stderr)

    def test_trace_ends_first(self):
        """With the trace the command ends, and the trace's end is no failure."""
        for option in (["-d", "300ms"], ["--limit", "3"]):
            with self.subTest(option=option):
                done = rille.run("-e", GETPPID, "-q", *option, "--", sys.executable, "-c", FOREVER)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_killed_tracer(self):
        """A tracer that is killed takes the command with it, also before its first instruction."""
        tracer = rille.start("-e", GETPPID, "-q", "--", "sleep", "1000")
        children = pathlib.Path(f"/proc/{tracer.pid}/task/{tracer.pid}/children").read_text(encoding="ascii").split()
        self.assertEqual(len(children), 1)
        tracer.kill()
        tracer.communicate()
        rille.wait_until(lambda: gone(children[0]))


class Running(Traced):
    def test_pid(self):
        """-p traces that process alone, says when it ends, and ends with it."""
        process, other = forever(self), forever(self)
        with tempfile.NamedTemporaryFile() as out:
            tracer = rille.start("-e", GETPPID, "-o", f"jsonl:{out.name}", "-p", process.pid)
            rille.wait_until(lambda: len(rille.whole_lines(out.name)) > 12)
            process.kill()
            process.wait()
            _, err = tracer.communicate(timeout=60)
            records = [json.loads(line) for line in rille.whole_lines(out.name)]
        self.assertEqual(tracer.returncode, 0, err)
        self.assertIn(f"process {process.pid} has ended", err)
        pids = {record["pid"] for record in records if record["type"] == "event"}
        self.assertEqual(pids, {process.pid})
        self.assertIsNone(other.poll())
        self.assertEqual(records[-1]["reason"], "target exited")

    def test_dead_pid(self):
        """A process that is not there is an error that names it; a thread's id says whose it is."""
        process = subprocess.Popen(["true"])
        process.wait()
        done = rille.run("-e", GETPPID, "-p", process.pid)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(str(process.pid), done.stderr)
        script = "import threading, time\nt = threading.Thread(target=time.sleep, args=(60,), daemon=True)\nt.start()\n" \
                 "print(t.native_id, flush=True)\ntime.sleep(60)"
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
            tid = process.stdout.readline().strip()
            done = rille.run("-e", GETPPID, "-p", tid)
            process.kill()
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(f"-p {process.pid}", done.stderr)

    def test_comm_and_uid(self):
        """-n and -u select by name and by user."""
        process = forever(self)
        comm = pathlib.Path(f"/proc/{process.pid}/comm").read_text(encoding="utf-8").strip()
        done = rille.run("-e", GETPPID, "-n", comm, "--limit", "5", "--format", "jsonl", "-d", "10s")
        self.assertEqual({event["comm"] for event in rille.events(done.stdout)}, {comm})
        done = rille.run("-e", GETPPID, "-u", "nobody", "-d", "300ms", "--format", "jsonl")
        self.assertEqual(rille.events(done.stdout), [])
        done = rille.run("-e", GETPPID, "-u", os.geteuid(), "--limit", "5", "--format", "jsonl", "-d", "10s")
        self.assertEqual(len(rille.events(done.stdout)), 5)

    def test_interrupt(self):
        """The first SIGINT or SIGTERM ends the trace with its report, status 0; what goes on meanwhile is not in it."""
        forever(self)
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number), tempfile.NamedTemporaryFile() as out:
                tracer = rille.start("-e", GETPPID, "-o", f"jsonl:{out.name}")
                rille.wait_until(lambda out=out: len(rille.whole_lines(out.name)) > 12)
                tracer.send_signal(number)
                _, err = tracer.communicate(timeout=60)
                self.assertEqual(tracer.returncode, 0, err)
                records = [json.loads(line) for line in rille.whole_lines(out.name)]
                end = records[-1]
                self.assertEqual((end["type"], end["reason"]), ("end", "interrupted"))
                self.assertGreater(end["probes"][0]["sent"], 10)
                self.assertEqual(sum(record["type"] == "event" for record in records), end["probes"][0]["sent"])
                self.assertRegex(err, r"syscall:getppid: seen \d+ passed \d+ sent \d+")

    def test_second_interrupt(self):
        """A second one ends at once, though a callback does not come back."""
        with tempfile.TemporaryDirectory() as folder:
            here, script = pathlib.Path(folder, "here"), pathlib.Path(folder, "waits.lua")
            script.write_text("return { probes = { %s }, on_end = function() io.open('%s', 'w'):close() "
                              "io.popen('sleep 30'):read('a') end }" % (GETPPID, here))
            tracer = rille.start("run", script, "--unsafe", "-q")
            tracer.send_signal(signal.SIGINT)
            rille.wait_until(here.exists)
            time.sleep(0.6)  # what comes together with the first one counts as one
            tracer.send_signal(signal.SIGINT)
            tracer.wait(timeout=60)
            self.assertEqual(tracer.returncode, 128 + signal.SIGINT)
            self.assertIn("ended at once", tracer.stderr.readline())
            tracer.stdout.close()
            tracer.stderr.close()

    def test_duration_and_limit(self):
        forever(self)
        began = time.monotonic()
        done = rille.run("-e", GETPPID, "-d", "500ms", "--format", "jsonl")
        self.assertGreaterEqual(time.monotonic() - began, 0.5)
        self.assertEqual(rille.records(done.stdout)[-1]["reason"], "duration")
        done = rille.run("-e", GETPPID, "--limit", "7", "--format", "jsonl")
        self.assertEqual(len(rille.events(done.stdout)), 7)
        self.assertEqual(rille.records(done.stdout)[-1]["reason"], "limit")

    def test_quiet(self):
        """With -q and nothing lost standard error is empty; without, the totals are there."""
        done = rille.run("-e", GETPPID, "-q", "--", *caller(10))
        self.assertEqual(done.stderr, "")
        done = rille.run("-e", GETPPID, "-o", "/dev/null", "--", *caller(10))
        self.assertRegex(done.stderr, r"syscall:getppid: seen \d+ passed 10 sent 10")

    def test_verbose(self):
        """-v tells the phases in ms and the mechanisms."""
        done = rille.run("-e", GETPPID, "-v", "--", "true")
        self.assertRegex(done.stderr, r"\w+ \d+\.\d, .*\(ms; \d+\.\d together\)")
        self.assertIn("syscall:getppid: ", done.stderr)

    def test_closed_pipe(self):
        """A reader that goes away ends the trace in silence."""
        forever(self)
        done = subprocess.run(f"exec 2>&1; {rille.RILLE} -e '{GETPPID}' -q | head -2 | wc -l", shell=True, text=True,
                              capture_output=True, check=False, timeout=60, executable="/bin/bash")
        self.assertEqual(done.stdout, "2\n")

    def test_full_disk(self):
        """An output that cannot be written is told, with its name, and is a failure."""
        forever(self)
        done = rille.run("-e", GETPPID, "-q", "-o", "jsonl:/dev/full", "-d", "5s")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("/dev/full", done.stderr)
        self.assertIn("No space left", done.stderr)
        done = rille.run("-e", GETPPID, "-q", "-o", "/nowhere/at/all", "-d", "5s")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("/nowhere/at/all", done.stderr)

    def test_outputs(self):
        """Several outputs, each in its format; %p and %t are replaced."""
        with tempfile.TemporaryDirectory() as folder:
            tracer = rille.start("-e", GETPPID, "-q", "-o", f"jsonl:{folder}/a-%p-%t.jsonl", "-o", f"{folder}/b.txt", "--",
                                 *caller(5))
            out, _ = tracer.communicate(timeout=60)
            self.assertEqual(out, "done\n")
            names = sorted(os.listdir(folder))
            self.assertRegex(names[0], rf"^a-{tracer.pid}-\d{{8}}T\d{{6}}\.jsonl$")
            text = pathlib.Path(folder, names[0]).read_text(encoding="utf-8")
            self.assertEqual(len(rille.events(text)), 5)
            text = pathlib.Path(folder, names[1]).read_text(encoding="utf-8")
            self.assertEqual(text.count("syscall:getppid"), 5)

    def test_script_on_standard_input(self):
        script = "return { probes = { %s }, on_end = function(out) out:print('that is all') end }" % GETPPID
        done = rille.run("run", "-", "-q", "--", *caller(3), stdin=None, input=script)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count("syscall:getppid"), 3)
        self.assertTrue(done.stdout.endswith("that is all\n"))

    def test_lines_appear_at_once(self):
        """A rare event is on a pipe before the next one happens, not when a buffer is full."""
        process = subprocess.Popen([sys.executable, "-c", "import os\nfor _ in range(3):\n    input()\n    os.getppid()"],
                                   stdin=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        tracer = rille.start("-e", GETPPID, "-q", "-p", process.pid)
        for _ in range(3):
            process.stdin.write("\n")
            process.stdin.flush()
            self.assertIn("syscall:getppid", tracer.stdout.readline())
        process.stdin.close()
        tracer.communicate(timeout=60)

    def test_colors(self):
        """Colours on a terminal or when asked for; never in a file."""
        done = rille.run("-e", GETPPID, "-q", "--", *caller(1))
        self.assertNotIn("\x1b", done.stdout)
        done = rille.run("-e", GETPPID, "-q", "--color", "always", "--", *caller(1))
        self.assertIn("\x1b[", done.stdout)
        if not shutil.which("script"):
            self.skipTest("script(1) is not installed")
        command = f"{rille.RILLE} -e '{GETPPID}' -q -- {sys.executable} -c 'import os; os.getppid()'"
        env = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {"TERM": "xterm"}
        for extra, colored in (({}, True), ({"NO_COLOR": "1"}, False)):
            done = subprocess.run(["script", "-qec", command, "/dev/null"], capture_output=True, text=True, check=False,
                                  env=env | extra, stdin=subprocess.DEVNULL)
            self.assertEqual("\x1b[" in done.stdout, colored, done.stdout)


class Schema(Traced):
    """Every record that is written fits the schema that is shipped."""

    def setUp(self):
        try:
            self.validator = rille.validator()
        except ImportError:
            self.skipTest("python3-jsonschema is not installed")
        if self.validator is None:
            self.skipTest("this jsonschema does not know draft 2020-12")

    MANY = 200000  # records do not fit in the ring

    def check(self, text, kinds):
        records = rille.records(text)
        for record in records:
            error = next(self.validator.iter_errors(record), None)
            self.assertIsNone(error, f"{record}: {error}")
        self.assertEqual({record["type"] for record in records}, set(kinds))
        self.assertEqual((records[0]["type"], records[-1]["type"]), ("meta", "end"))
        return records

    def test_records(self):
        """Fields of every kind, stacks of both sides, rows, text."""
        script = """return { probes = { {
            "syscall:bind",
            fields = { "fd", { "hex", "fd", as = "hex" }, "addr = sockaddr(umyaddr, addrlen)", "raw = buf(umyaddr, 16)",
                       "inode = fd_inode(fd)", { "errno", "errno", as = "errno" }, "big = 0xffffffffffffffff" },
            stack = "both", on_event = function(ev, out) out:emit(ev) out:row{ a = 1.5, b = "x", c = true } end } },
            on_end = function(out) out:print("end\\27[1m") end }"""
        program = ("import socket, os\n"
                   "for a in ['/tmp/rille-%d' % os.getpid(), '\\0abstract']:\n"
                   "    s = socket.socket(socket.AF_UNIX); s.bind(a)\n"
                   "os.unlink('/tmp/rille-%d' % os.getpid())\n"
                   "s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])\n"
                   "s6 = socket.socket(socket.AF_INET6)\n"
                   "try: s6.bind(('::1', 0))\n"
                   "except OSError: pass\n"
                   "try: s.bind(('127.0.0.1', 0))\n"
                   "except OSError: pass\n")
        with tempfile.NamedTemporaryFile("r") as out, tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
            file.write(script)
            file.flush()
            done = rille.run("run", file.name, "-o", f"jsonl:{out.name}", "--addresses", "--", sys.executable, "-c", program)
            self.assertEqual(done.returncode, 0, done.stderr)
            records = self.check(out.read(), ["meta", "event", "row", "print", "end"])
        events = [record for record in records if record["type"] == "event"]
        self.assertEqual([event["addr"]["family"] for event in events],
                         ["AF_UNIX", "AF_UNIX", "AF_INET", "AF_INET6", "AF_INET"])
        self.assertEqual(events[1]["addr"]["abstract"], "abstract")
        self.assertEqual(events[2]["addr"]["address"], "127.0.0.1")
        self.assertEqual((events[4]["errno"], events[2]["errno"]), ("EINVAL", 0))
        self.assertTrue(all(event["big"] == 2**64 - 1 for event in events))
        self.assertEqual(next(r for r in records if r["type"] == "print")["text"], "end\x1b[1m")

    def stalled(self, *options):
        """What a tracer says that was stopped while its target made MANY calls: (what it wrote, its messages)."""
        script = f"from os import getppid\ninput()\nfor _ in range({self.MANY}): getppid()"
        process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        with tempfile.NamedTemporaryFile("r", prefix="rille-events-") as out:
            tracer = rille.start("-e", GETPPID, "-q", "-o", f"jsonl:{out.name}", "-p", process.pid, *options)
            tracer.send_signal(signal.SIGSTOP)  # nobody empties the ring
            process.stdin.write("\n")
            process.stdin.close()
            process.wait()
            tracer.send_signal(signal.SIGCONT)
            _, err = tracer.communicate(timeout=60)
            self.assertEqual(tracer.returncode, 0, err)
            return out.read(), err

    def test_lost(self):
        """Losses are records of their own, and the numbers add up: passed = sent + lost, and what was sent is there."""
        out, err = self.stalled()
        records = self.check(out, ["meta", "event", "lost", "end"])
        totals = records[-1]["probes"][0]
        self.assertEqual(totals["passed"], self.MANY)
        self.assertGreater(totals["lost_ring"], 0)
        self.assertEqual(totals["passed"], totals["sent"] + totals["lost_ring"])
        self.assertEqual(sum(record["type"] == "event" for record in records), totals["sent"])
        self.assertEqual(sum(record["lost"] for record in records if record["type"] == "lost"), totals["lost_ring"])
        self.assertRegex(err, rf"lost {totals['lost_ring']} \(ring buffer full {totals['lost_ring']}\)")
        self.assertIn("--ring", err)

    def test_a_larger_ring_loses_nothing(self):
        out, err = self.stalled("--ring", "64M")
        totals = self.check(out, ["meta", "event", "end"])[-1]["probes"][0]
        self.assertEqual((totals["sent"], totals["lost_ring"]), (self.MANY, 0), err)


if __name__ == "__main__":
    unittest.main()
