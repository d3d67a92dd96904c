"""Giving up rights for good: to everything but what a process holds already, or to the network alone."""

from __future__ import annotations

import ctypes
import errno
import platform
import resource
import struct
import sys

MEMORY = 6 << 30  # bytes of its own; a PNG of 178 million pixels took 3 << 30
FILES = 32  # descriptors
ARCHITECTURE = 0xC000003E  # AUDIT_ARCH_X86_64; calls have other numbers elsewhere
OTHER_NUMBERS = 0x40000000  # calls of x32 begin here
CALLS = {
    **{"read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "mmap": 9, "mprotect": 10, "munmap": 11},
    **{"brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "pread64": 17, "select": 23},
    **{"sched_yield": 24, "mremap": 25, "madvise": 28, "dup": 32, "nanosleep": 35, "getpid": 39, "exit": 60},
    **{"uname": 63, "gettimeofday": 96, "sysinfo": 99, "getppid": 110, "sigaltstack": 131, "gettid": 186, "futex": 202},
    **{"sched_getaffinity": 204, "restart_syscall": 219, "clock_gettime": 228, "clock_nanosleep": 230},
    **{"exit_group": 231, "newfstatat": 262, "pselect6": 270, "set_robust_list": 273, "getrandom": 318, "rseq": 334},
}
CLONE, CLONE3, CLONE_THREAD = 56, 435, 0x10000
SOCKET, IO_URING_SETUP, SECCOMP = 41, 425, 317
AF_UNIX, AF_NETLINK = 1, 16  # sockets that lead to no other machine
FCNTL, F_DUPFD_CLOEXEC = 72, 1030
PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 4, 38
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 1, 1
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # instructions of seccomp's filters, seccomp(2)
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000
NUMBER, ARCH, FIRST_ARGUMENT, SECOND_ARGUMENT = 0, 4, 16, 24  # where they lie in what a filter sees


def lock_in() -> bool:
    """Give up, for good, what decoding does not need; return whether the system keeps this process from the rest.

    Where it does (Linux on x86-64), the process can use the descriptors that it has and memory of its own, make
    threads, and end: it can open no file and no connection, start no program and send no signal. Elsewhere, only its
    memory, the size of files that it writes and the number of its descriptors are bounded.
    """
    bound()
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    return _install(_filter())


def cut_off_network() -> bool:
    """Give up, for good, to open connections; return whether the system keeps this process and its children from it.

    Where it does (Linux on x86-64), a socket that could lead to another machine is refused with EACCES, whichever
    library asks for it. Sockets that are open already stay.
    """
    return _install(_filter_of_sockets())


def _install(program: bytes) -> bool:
    """Filter the system calls of this process, of all its threads, and of what it starts; return whether it worked."""
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(None)
    if library.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or platform.machine() != "x86_64":
        return False
    buffer = ctypes.create_string_buffer(program)
    head = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer)))
    return bool(library.syscall(SECCOMP, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, head) == 0)


def bound() -> None:
    """Bound memory, files and descriptors for good: as above, or as the system bounds them already, if that is less."""
    for kind, most in (
        (resource.RLIMIT_DATA, MEMORY),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, FILES),
    ):
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def _filter() -> bytes:
    """Return the filter of system calls: those of `CALLS`, threads and copies of descriptors; no others."""
    calls = sorted(CALLS.values())
    lines = [
        (LOAD, 0, 0, ARCH),
        (EQUAL, 1, 0, ARCHITECTURE),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, OTHER_NUMBERS),
        (RETURN, 0, 0, KILL),
        *((EQUAL, len(calls) - n + 8, 0, call) for n, call in enumerate(calls)),
        (EQUAL, 6, 0, CLONE3),  # without it, threads are made by `clone`, whose flags can be seen
        (EQUAL, 0, 2, CLONE),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (ANY_BIT, 5, 4, CLONE_THREAD),
        (EQUAL, 0, 3, FCNTL),
        (LOAD, 0, 0, SECOND_ARGUMENT),
        (EQUAL, 2, 1, F_DUPFD_CLOEXEC),
        (RETURN, 0, 0, REFUSE | errno.ENOSYS),
        (RETURN, 0, 0, REFUSE | errno.EPERM),
        (RETURN, 0, 0, ALLOW),
    ]
    return _packed(lines)


def _filter_of_sockets() -> bytes:
    """Return the filter of system calls that refuses sockets to other machines, and what could make them unseen."""
    lines = [
        (LOAD, 0, 0, ARCH),
        (EQUAL, 0, 8, ARCHITECTURE),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 6, 0, OTHER_NUMBERS),
        (EQUAL, 5, 0, IO_URING_SETUP),
        (EQUAL, 0, 3, SOCKET),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (EQUAL, 1, 0, AF_UNIX),
        (EQUAL, 0, 2, AF_NETLINK),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, REFUSE | errno.ENOSYS),
        (RETURN, 0, 0, REFUSE | errno.EACCES),
    ]
    return _packed(lines)


def _packed(lines: list[tuple[int, int, int, int]]) -> bytes:
    """Return the instructions of a filter as the system reads them."""
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
