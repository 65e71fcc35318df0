"""Traces a command from asyncio's loop, and prints each socket pair that it makes. Needs nothing but librille:

    sudo python3 ctypes_host.py COMMAND…
"""

import asyncio
import ctypes
import subprocess
import sys

RILLE = ctypes.CDLL("librille.so.0")
USER_STACK = 1


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("error_class", ctypes.c_int), ("tag", ctypes.c_char_p),
                ("file", ctypes.c_char_p), ("line", ctypes.c_uint32), ("col", ctypes.c_uint32),
                ("message", ctypes.c_char_p), ("formatted", ctypes.c_char_p)]


class Frame(ctypes.Structure):
    _fields_ = [("address", ctypes.c_uint64), ("offset", ctypes.c_uint64), ("kind", ctypes.c_char_p),
                ("tier", ctypes.c_char_p), ("how", ctypes.c_char_p), ("name", ctypes.c_char_p),
                ("signature", ctypes.c_char_p), ("module", ctypes.c_char_p), ("build_id", ctypes.c_char_p),
                ("file", ctypes.c_char_p), ("line", ctypes.c_int32), ("inlined", ctypes.c_uint8),
                ("reserved", ctypes.c_uint8 * 3), ("reserved2", ctypes.c_uint64 * 5)]


class Stack(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("frames", ctypes.POINTER(Frame)), ("nframes", ctypes.c_size_t),
                ("end", ctypes.c_char_p), ("site", ctypes.c_uint64)]


EVENT_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
RILLE.rille_new.restype = ctypes.c_void_p
RILLE.rille_last_error.restype = ctypes.POINTER(Error)
RILLE.rille_last_error.argtypes = RILLE.rille_free.argtypes = RILLE.rille_fd.argtypes = [ctypes.c_void_p]
RILLE.rille_attach.argtypes = [ctypes.c_void_p]
RILLE.rille_load_recipe.argtypes = RILLE.rille_stop.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
RILLE.rille_target_pid.argtypes = [ctypes.c_void_p, ctypes.c_int]
RILLE.rille_dispatch.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
RILLE.rille_on_event.argtypes = [ctypes.c_void_p, EVENT_FUNCTION, ctypes.c_void_p]
RILLE.rille_event_field.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
RILLE.rille_event_array.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_int64), ctypes.c_size_t,
                                    ctypes.POINTER(ctypes.c_uint64)]
RILLE.rille_event_stack.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(Stack)]


def array(event, name):
    """The integers of an array field."""
    values = (ctypes.c_int64 * 64)()
    n = RILLE.rille_event_array(event, RILLE.rille_event_field(event, name), values, 64, None)
    return list(values[:max(n, 0)])


def show(_user, event):
    stack = Stack(size=ctypes.sizeof(Stack))
    print(f"fds={array(event, b'fds')} inodes={array(event, b'inodes')}")
    if RILLE.rille_event_stack(event, USER_STACK, ctypes.byref(stack)) == 0:
        for frame in stack.frames[:stack.nframes]:
            print("   ", (frame.name or frame.module or b"?").decode())
        print(f"    ({stack.end.decode()})", flush=True)
    return 0


def check(handle, result):
    if result < 0:
        sys.exit(RILLE.rille_last_error(handle).contents.formatted.decode())


async def trace(command):
    # The command waits behind a shell's `read` until it is traced.
    child = subprocess.Popen(["/bin/sh", "-c", 'read go; exec "$@"', "sh", *command], stdin=subprocess.PIPE)
    handle, callback = RILLE.rille_new(None), EVENT_FUNCTION(show)  # both to be kept for as long as events come
    check(handle, RILLE.rille_load_recipe(handle, b"socketpair"))
    check(handle, RILLE.rille_target_pid(handle, child.pid))
    check(handle, RILLE.rille_on_event(handle, callback, None))
    check(handle, RILLE.rille_attach(handle))
    child.stdin.write(b"go\n")
    child.stdin.close()

    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def readable():
        if RILLE.rille_dispatch(handle, 0, 0) < 0:  # the command has ended
            over.set()

    loop.add_reader(RILLE.rille_fd(handle), readable)
    await over.wait()
    loop.remove_reader(RILLE.rille_fd(handle))
    check(handle, RILLE.rille_stop(handle, None))
    RILLE.rille_free(handle)
    return child.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(trace(sys.argv[1:])))
