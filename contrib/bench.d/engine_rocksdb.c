/* SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include <rocksdb/c.h>

#define LSM(name)  rocksdb_##name
#define LSM_ENGINE engine_rocksdb
#define LSM_NAME   "rocksdb"

#include "engine_lsm.h"
