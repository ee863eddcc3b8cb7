# SPDX-License-Identifier: MIT OR Apache-2.0
"""Asynchronous writes as io_submit(2) does them: by plain system calls, so that no library is needed."""
import ctypes
import os
import struct

LIBC = ctypes.CDLL(None, use_errno=True)
# io_setup, io_destroy, io_getevents, io_submit
NUMBERS = {"x86_64": (206, 207, 208, 209), "aarch64": (0, 1, 4, 2)}
PWRITE = 1
IOCB = struct.Struct("=QIIHhIQQqQII")  # linux/aio_abi.h, little-endian


def is_known():
    return os.uname().machine in NUMBERS


def call(number, *args):
    result = LIBC.syscall(ctypes.c_long(number), *args)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def pwrite(fd, memory, offset):
    """Writes the whole of an anonymous mapping; returns when it is done, with its result."""
    setup, destroy, getevents, submit = NUMBERS[os.uname().machine]
    context = ctypes.c_ulong()
    call(setup, 1, ctypes.byref(context))
    try:
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        iocb = ctypes.create_string_buffer(IOCB.pack(0, 0, 0, PWRITE, 0, fd, address, len(memory),
                                                     offset, 0, 0, 0))
        event = (ctypes.c_int64 * 4)()
        call(submit, context, ctypes.c_long(1), ctypes.byref(ctypes.pointer(iocb)))
        call(getevents, context, ctypes.c_long(1), ctypes.c_long(1), event, None)
        return event[2]
    finally:
        call(destroy, context)
