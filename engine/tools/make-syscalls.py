#!/usr/bin/python3
"""Writes engine/probe/syscalls.inc: the system calls with their numbers and arguments.

    engine/tools/make-syscalls.py [EVENTS] > engine/probe/syscalls.inc

Names and C types of the arguments are what the kernel prints in events/syscalls/sys_enter_*/format (EVENTS is tracefs'
events/syscalls, read as root). Numbers come from the kernel's headers of the machine it runs on: <asm/unistd_64.h> of
x86-64, <asm-generic/unistd.h> with what arm64 asks of it. Run it again on a newer kernel to add calls; the result is
committed, because a build must not need root, and `rille check` must not either.
"""
import os
import re
import subprocess
import sys

# Newer than many distributions' headers. From 424 on, the numbers are the same on every architecture.
NEWER = {
    "futex_waitv": 449, "set_mempolicy_home_node": 450, "cachestat": 451, "fchmodat2": 452, "map_shadow_stack": 453,
    "futex_wake": 454, "futex_wait": 455, "futex_requeue": 456, "statmount": 457, "listmount": 458,
    "lsm_get_self_attr": 459, "lsm_set_self_attr": 460, "lsm_list_modules": 461, "mseal": 462, "setxattrat": 463,
    "getxattrat": 464, "listxattrat": 465, "removexattrat": 466, "open_tree_attr": 467, "file_getattr": 468,
    "file_setattr": 469,
}
NEWER_X86_64 = {"uretprobe": 335, "uprobe": 336}

# The kernel's name of a call whose number has another one.
KERNEL_NAME = {"stat": "newstat", "fstat": "newfstat", "lstat": "newlstat", "uname": "newuname", "umount2": "umount",
               "sendfile": "sendfile64"}

# Calls that a kernel may be built without, so that its tracefs has no format: the prototypes of the kernel's
# include/linux/syscalls.h.
OPTIONAL = {
    "delete_module": ["const char * name_user", "unsigned int flags"],
    "init_module": ["void * umod", "unsigned long len", "const char * uargs"],
    "finit_module": ["int fd", "const char * uargs", "int flags"],
    "kexec_load": ["unsigned long entry", "unsigned long nr_segments", "struct kexec_segment * segments",
                   "unsigned long flags"],
    "kexec_file_load": ["int kernel_fd", "int initrd_fd", "unsigned long cmdline_len", "const char * cmdline_ptr",
                        "unsigned long flags"],
    "lookup_dcookie": ["u64 cookie64", "char * buf", "size_t len"],
    "uselib": ["const char * library"],
    "get_thread_area": ["struct user_desc * u_info"],
    "set_thread_area": ["struct user_desc * u_info"],
    "map_shadow_stack": ["unsigned long addr", "unsigned long size", "unsigned int flags"],
}

# arm64 selects CLONE_BACKWARDS: the last two arguments are the other way round.
ARM64_ARGUMENTS = {"clone": ["unsigned long clone_flags", "unsigned long newsp", "int * parent_tidptr",
                             "unsigned long tls", "int * child_tidptr"]}

ARM64_WANTS = ["RENAMEAT", "NEW_STAT", "SET_GET_RLIMIT", "TIME32_SYSCALLS", "SYS_CLONE3", "MEMFD_SECRET"]


def numbers(source, flags):
    text = subprocess.run(["cc", "-E", "-dM", *flags, "-"], input=source, capture_output=True, text=True,
                          check=True).stdout
    macros = dict(re.findall(r"#define (__NR\w+) (\w+)", text))
    found = {}
    for name, value in macros.items():
        while value in macros:
            value = macros[value]
        if name.startswith("__NR_") and value.isdigit():
            found[name[len("__NR_"):]] = int(value)
    return found


def arguments(path):
    """The fields behind __syscall_nr: 'int * usockvec' as the kernel prints it."""
    with open(path, encoding="ascii") as f:
        fields = re.findall(r"^\tfield:(.+?);\toffset:(\d+);", f.read(), re.M)
    return [text for text, offset in fields if int(offset) >= 16]


def row(name, kernel_name, x86_64, arm64, args):
    strings = "".join(f', "{a}"' for a in args)
    return f'SYSCALL("{name}", "{kernel_name}", {x86_64}, {arm64}{strings})'


def main():
    events = sys.argv[1] if len(sys.argv) > 1 else "/sys/kernel/tracing/events/syscalls"
    x86_64 = NEWER | NEWER_X86_64 | numbers("#include <asm/unistd_64.h>\n", [])
    arm64 = NEWER | numbers("#include <asm-generic/unistd.h>\n", [f"-D__ARCH_WANT_{w}" for w in ARM64_WANTS])
    print("/* Written by engine/tools/make-syscalls.py: name, the kernel's name, number on x86-64 and on arm64 (-1: not there),\n"
          " * arguments. In order of name. */")
    for name in sorted(set(x86_64) | set(arm64)):
        kernel_name = KERNEL_NAME.get(name, name)
        path = os.path.join(events, f"sys_enter_{kernel_name}", "format")
        args = arguments(path) if os.path.exists(path) else OPTIONAL.get(name)
        if args is None:
            continue  # never implemented, or gone: afs_syscall, getpmsg
        other = ARM64_ARGUMENTS.get(name)
        print(row(name, kernel_name, x86_64.get(name, -1), -1 if other else arm64.get(name, -1), args))
        if other:
            print(row(name, kernel_name, -1, arm64[name], other))


main()
