/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the program has to say, and to whom: to who started it, on stderr, and
 * from the background to the system log. Knows nothing of what is said.
 */
#ifndef MESSAGES_H
#define MESSAGES_H

#include <stdatomic.h>
#include <stdbool.h>

/* While the mount is served. */
struct reports {
	atomic_bool to_syslog; /* stderr is gone */
	atomic_bool failed;    /* something was reported */
};

/* One line, to whoever can still read it. Any thread. */
void tell(struct reports *reports, const char *line);

/* The same for a failure of the mount. */
void report(struct reports *reports, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What libfuse has to say: while it mounts, with our name before it. */
void messages_of_libfuse_named(void);

/* As it comes: once the mount is there it is a fault of ours, if anything. */
void messages_of_libfuse_plain(void);

/* From here on nobody reads stderr. */
void messages_to_syslog(struct reports *reports);

#endif
