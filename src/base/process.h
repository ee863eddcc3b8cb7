/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the system calls a process.
 */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#define PROCESS_NAME_SIZE 32 /* bytes; the kernel keeps 15 and a NUL */

/* The name of a process, as ps(1) shows it; "?" when it cannot be told. */
void process_name(int pid, char out[PROCESS_NAME_SIZE]);

#endif
