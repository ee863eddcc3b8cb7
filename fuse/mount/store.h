/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The life of a mounted store, from the lock on its log to the release of it.
 * Knows neither the session nor the threads that serve it.
 */
#ifndef STORE_H
#define STORE_H

#include "fs.h"

/* Opens the log and builds the tree from its records. options is taken over
 * (store_close() frees its strings), also on failure. A thread calls waits
 * before it waits for the disk (dwal_options). Returns 0 or a dwal code
 * with error filled in. Starts no thread. */
int store_open(struct fs_options *options, void (*waits)(void), struct fs **out,
	       struct dwal_error *error);

/* Closes the log and frees everything; takes NULL. Does not commit. No other
 * thread may use it any more. 0 or a dwal code. */
int store_close(struct fs *fs);

#endif
