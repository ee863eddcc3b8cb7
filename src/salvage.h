/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Salvage with a table of system calls, for tests.
 */
#ifndef DWAL_SALVAGE_H
#define DWAL_SALVAGE_H

#include "datawal.h"
#include "io.h"

/* dwal_salvage(); io NULL: the system's. */
int salvage(const struct io *io, const char *dir, const char *target,
	    const struct dwal_salvage_options *options, struct dwal_salvage_stats *stats,
	    struct dwal_error *error);

#endif
