/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * CRC-32C, the two ways dwal_crc32c() may go. Separate, so that a test can
 * hold one against the other.
 */
#ifndef DWAL_CRC32C_H
#define DWAL_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Takes the register, or the difference of two, back to what it was before a
 * zero byte. */
uint32_t crc32c_before_a_zero(uint32_t crc);

/* The CRC of some bytes and len ones behind them, from the CRC of either. */
uint32_t crc32c_combine(uint32_t before, uint32_t behind, uint64_t len);

uint32_t crc32c_table(uint32_t crc, const void *data, size_t len);

#ifdef HAVE_ISAL
uint32_t crc32c_isal(uint32_t crc, const void *data, size_t len);
#endif

#endif
