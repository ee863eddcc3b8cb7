/* SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include <leveldb/c.h>

#define LSM(name)  leveldb_##name
#define LSM_ENGINE engine_leveldb
#define LSM_NAME   "leveldb"

#include "engine_lsm.h"
