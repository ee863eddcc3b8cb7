/* SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include <rocksdb/c.h>

#define LSM(name) rocksdb_##name

#include "engine_lsm.h"

const struct engine engine_rocksdb = {
	.name = "rocksdb",
	.offers = "put batch get delete walk open compact sync",
	.open = open_store,
	.close = close_store,
	.put = put,
	.batch = batch,
	.get = get,
	.remove = remove_key,
	.walk = walk,
	.compact = compact,
};
