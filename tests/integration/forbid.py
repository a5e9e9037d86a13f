"""Runs a program whose system calls of these numbers fail with this error:

    forbid.py ERROR NUMBER[,NUMBER...] PROGRAM ARGUMENTS...

By a seccomp filter (seccomp(2)), as containers have them.
"""

import ctypes
import errno
import os
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO = 0x7FFF0000, 0x00050000
# The filter is a program of the classic BPF: load a word of `struct
# seccomp_data`, of which the number of the call is the first; compare; return.
LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06


def instruction(code, value, if_true=0, if_false=0):
    return struct.pack("HBBI", code, if_true, if_false, value)


def filter_of(numbers, error):
    program = [instruction(LOAD, 0)]
    for number in numbers:
        program.append(instruction(IF_EQUAL, number, if_false=1))
        program.append(instruction(RETURN, SECCOMP_RET_ERRNO | error))
    program.append(instruction(RETURN, SECCOMP_RET_ALLOW))
    return program


def forbid(numbers, error):
    program = filter_of(numbers, error)
    code = ctypes.create_string_buffer(b"".join(program))
    # struct sock_fprog: how many, and where.
    program = struct.pack("HP", len(program), ctypes.addressof(code))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    word, pointer = ctypes.c_ulong, ctypes.c_void_p
    prctl.argtypes = [ctypes.c_int, word, pointer, word, word]
    for arguments in (
        (PR_SET_NO_NEW_PRIVS, 1, None, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0),
    ):
        if prctl(*arguments) != 0:
            sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    name, numbers, *command = sys.argv[1:]
    forbid(map(int, numbers.split(",")), getattr(errno, name))
    os.execv(command[0], command)
