/* SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include <leveldb/c.h>

#define LSM(name) leveldb_##name

#include "engine_lsm.h"

const struct engine engine_leveldb = {
	.name = "leveldb",
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
