#!/usr/bin/python3
"""Writes the table of the constants that scripts may use.

    engine/tools/constants.py OUT.c CC [FLAGS…]

Macros and enumerators are taken from the headers below, all those whose value is an integer constant expression. Nobody
keeps a list of names: what the headers of the machine that builds have is what scripts have.

libc's and the kernel's headers define the same structures, so they cannot be included together. Each group is one
translation unit; a group that does not compile on some distribution is halved until the pieces do. Of two values for one
name the first group's wins, if it is not 0.

Whether an expression is a constant only the compiler can tell. All candidates go into one enum each, a line a candidate,
and the lines that the compiler complains about are dropped, until it does not complain. Then their values are read from
assembly text, so that this works for a cross compiler too.
"""
import pathlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

LIBC = """
errno.h fcntl.h signal.h sched.h poll.h dirent.h mqueue.h time.h unistd.h limits.h netdb.h syslog.h termios.h
dlfcn.h spawn.h wait.h semaphore.h stdio.h ftw.h glob.h fnmatch.h locale.h
sys/socket.h sys/un.h sys/types.h sys/stat.h sys/mman.h sys/wait.h sys/resource.h sys/epoll.h sys/eventfd.h sys/inotify.h
sys/fanotify.h sys/signalfd.h sys/timerfd.h sys/timex.h sys/prctl.h sys/ptrace.h sys/personality.h sys/mount.h sys/reboot.h
sys/swap.h sys/quota.h sys/random.h sys/ipc.h sys/shm.h sys/sem.h sys/msg.h sys/xattr.h sys/file.h sys/ioctl.h sys/uio.h
sys/statvfs.h sys/syscall.h sys/klog.h sys/acct.h sys/ucontext.h sys/user.h sys/param.h sys/pidfd.h sys/rseq.h
sys/sendfile.h sys/vfs.h sys/kd.h sys/vt.h sys/fsuid.h
netinet/in.h netinet/tcp.h netinet/udp.h netinet/ip.h netinet/ip_icmp.h netinet/icmp6.h netinet/ip6.h netinet/if_ether.h
netinet/igmp.h arpa/inet.h net/if.h net/if_arp.h net/ethernet.h net/route.h netpacket/packet.h
""".split()

KERNEL = """
acct aio_abi audit auxvec bpf bpf_common btf capability cn_proc close_range connector cryptouser dccp dma-buf dma-heap
dns_resolver errno eventpoll fadvise falloc fanotify fcntl fib_rules fiemap filter fs fscrypt fsverity fuse futex
gen_stats gpio hw_breakpoint icmp icmpv6 if if_addr if_arp if_ether if_packet if_tun if_vlan if_xdp in in6 in_route
inet_diag inotify io_uring ioctl ioprio ip ipc ipv6 kcmp kcov keyctl kvm landlock limits loop lsm magic major
membarrier memfd mempolicy mman module mount mqueue msg nbd net net_namespace net_tstamp netfilter netfilter_arp
netfilter_bridge netfilter_ipv4 netfilter_ipv6 netfilter/nfnetlink netfilter/nf_conntrack_common netlink netlink_diag
nsfs oom openat2 packet_diag perf_event personality pidfd poll prctl ptp_clock ptrace quota random reboot resource
rseq rtc rtnetlink sched seccomp securebits sem serial shm signalfd smc_diag sock_diag socket sockios stat sysinfo
taskstats tcp tee termios timerfd times timex tiocl tipc tty tty_flags types udp un unix_diag unistd usbdevice_fs
userfaultfd utsname vfio vhost virtio_ids virtio_net virtio_vsock vm_sockets vm_sockets_diag vt wait watch_queue
watchdog xattr xdp_diag can kd
""".split()

# Where libc's and the kernel's header cannot be combined at all, the kernel's has more names.
EXTRA = ["asm/mman.h", "asm/prctl.h", "asm/hwcap2.h", "asm/ioctls.h", "asm/signal.h", "asm/termbits.h", "asm/unistd.h"]

# What this program's own functions give.
OWN = pathlib.Path(__file__).resolve().parents[2] / "bpf-templates" / "kinds.h"

# Kernel-internal results that a system call's exit shows before they are turned into a restart.
INTERNAL = {"ERESTARTSYS": 512, "ERESTARTNOINTR": 513, "ERESTARTNOHAND": 514, "ENOIOCTLCMD": 515,
            "ERESTART_RESTARTBLOCK": 516}

FEWEST = 3000  # there are three times as many; a build without them would be useless, and look whole

DEFINE = re.compile(r"^#define ([A-Za-z]\w*) (.+)$", re.M)
NAME = re.compile(r"[A-Z][A-Z0-9_]+|SYS_\w+")
ENUM = re.compile(r"\benum\b(?:\s+__attribute__\s*\(\(\w+\)\))?(?:\s+\w+)?\s*\{([^}]*)\}")
ENUMERATOR = re.compile(r"(?:^|,)\s*([A-Za-z]\w*)\s*(?=[,=]|$)")
# Text that no integer constant expression has; dropping it here saves the compiler most of its complaints.
NEVER = re.compile(r'["{};]|\b(?:__attribute__|__asm__|do|while|return|extern|static|struct \w+$|void|__builtin_\w+)\b')


class Compiler:
    def __init__(self, command):
        self.command = command
        version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True).stdout
        # Every complaint, each at the candidate's line and not inside the header.
        self.all_errors = (["-ferror-limit=0", "-fno-caret-diagnostics"] if "clang" in version else
                           ["-fmax-errors=0", "-ftrack-macro-expansion=0", "-fno-diagnostics-show-caret"])

        # clang's own assembler looks at the text, and does not know .rille.
        self.to_assembly = ["-S", "-O1"] + (["-fno-integrated-as"] if "clang" in version else [])

    def run(self, flags, source):
        return subprocess.run([*self.command, "-std=gnu11", "-D_GNU_SOURCE", "-w", *flags, "-x", "c", "-", "-o", "-"],
                              input=source, capture_output=True, text=True, errors="replace", check=False)


def includes(headers):
    """A header that this distribution lacks is left out."""
    return "".join(f"#if __has_include(<{h}>)\n#include <{h}>\n#endif\n" for h in headers)


def candidates(cc, headers):
    text = cc.run(["-E", "-dD"], "#pragma rille\n" + includes(headers)).stdout
    text = text[text.index("#pragma rille"):]  # behind what the compiler itself defines
    names = {name for name, body in DEFINE.findall(text) if not NEVER.search(body)}
    plain = re.sub(r"^#.*$", "", text, flags=re.M)
    for body in ENUM.findall(plain):
        body = re.sub(r"\([^()]*(?:\([^()]*\)[^()]*)*\)", "0", body)  # commas inside an enumerator's value
        names.update(ENUMERATOR.findall(body))
    return sorted(n for n in names if NAME.fullmatch(n))


def constants(cc, headers, names):
    """Those of `names` that compile, or None if the headers do not."""
    while True:
        lines = "".join(f"enum {{ rille_{i} = ({n}) }};\n" for i, n in enumerate(names))
        result = cc.run(["-fsyntax-only", *cc.all_errors],
                        includes(headers) + '#line 1 "candidates"\n' + lines)
        if result.returncode == 0:
            return names
        bad = {int(n) for n in re.findall(r"^candidates:(\d+):\d+: error:", result.stderr, re.M)}
        if not bad:
            return None
        names = [n for i, n in enumerate(names, 1) if i not in bad]


def values(cc, headers, names):
    lines = "".join(f'__asm__("\\n.rille {n} %0" :: "i"((long long)({n})));\n' for n in names)
    result = cc.run(cc.to_assembly, includes(headers) + "void rille(void) {\n" + lines + "}\n")
    found = re.findall(r"^\s*\.rille (\w+) [$#]?(-?\d+)", result.stdout, re.M)
    if len(found) != len(names):
        sys.exit(f"constants.py: {len(names) - len(found)} values are missing: {result.stderr[:2000]}")
    return {name: int(value) for name, value in found}


def collect(cc, headers):
    names = constants(cc, headers, candidates(cc, headers))
    if names is not None:
        return values(cc, headers, names)
    if len(headers) == 1:
        print(f"constants.py: <{headers[0]}> does not compile here, left out", file=sys.stderr)
        return {}
    half = len(headers) // 2
    return collect(cc, headers[half:]) | collect(cc, headers[:half])


def write(path, table):
    rows = "".join(f'\t{{"{name}", {value}ll}},\n' if value != -2**63 else f'\t{{"{name}", INT64_MIN}},\n'
                   for name, value in sorted(table.items()))
    with open(path, "w", encoding="ascii") as out:
        out.write("/* Written by engine/tools/constants.py. In order of name. */\n"
                  '#include "engine/probe/constants.h"\n\n'
                  f"const struct constant CONSTANTS[] = {{\n{rows}}};\n"
                  f"const size_t NCONSTANTS = {len(table)};\n")


def main():
    cc = Compiler(sys.argv[2:])
    groups = [LIBC, [f"linux/{h}.h" for h in KERNEL], EXTRA, [str(OWN)]]
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda headers: collect(cc, headers), groups))
    if not found[-1]:
        sys.exit(f"constants.py: no constants in {OWN}")
    table = {}
    for group in found:  # earlier groups win; but libc's O_LARGEFILE is 0, the kernel's is what a trace sees
        table |= {name: value for name, value in group.items() if not table.get(name)}
    if len(table) < FEWEST:
        sys.exit(f"constants.py: only {len(table)} constants were found: are the kernel's headers installed?")
    write(sys.argv[1], INTERNAL | table)


main()
