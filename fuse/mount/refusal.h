/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Why the system refused to mount, in one line.
 */
#ifndef REFUSAL_H
#define REFUSAL_H

/* While libfuse and fusermount3 mount: what they write to standard error. */
struct refusal {
	int memory;  /* where it goes meanwhile; -1: to standard error after all */
	int visible; /* standard error as it was */
};

/* Between the two no other thread may run. */
void refusal_listen(struct refusal *refusal);

/* The mount is there: what was written goes on to standard error. */
void refusal_none(struct refusal *refusal);

/* It is not: "; "-joined what was written, and which security profile may be
 * the reason, newly allocated; NULL when nothing was. */
char *refusal_text(struct refusal *refusal);

#endif
