/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * CRC-32C (Castagnoli), eight bytes a step with tables that the compiler
 * computes, or by ISA-L where it was built in. Must not know of frames.
 */
#include "crc32c.h"
#include "util.h"

#ifdef HAVE_ISAL
#include <isa-l/crc.h>
#endif

/* The CRC register shifted by one zero bit, bits reflected. */
#define SHIFT(x) ((x) >> 1 ^ (0x82F63B78u & (0u - ((x)&1u))))

/* S0 is what the last bit of a byte leaves in the register, and each next one
 * that after one more zero bit. Since a CRC is linear, these sixty-four
 * values are all there is to the tables. */
/* clang-format off: tables */
enum {
	S0 = 0x82F63B78u,
	S1 = SHIFT(S0),
	S2 = SHIFT(S1),
	S3 = SHIFT(S2),
	S4 = SHIFT(S3),
	S5 = SHIFT(S4),
	S6 = SHIFT(S5),
	S7 = SHIFT(S6),
	S8 = SHIFT(S7),
	S9 = SHIFT(S8),
	S10 = SHIFT(S9),
	S11 = SHIFT(S10),
	S12 = SHIFT(S11),
	S13 = SHIFT(S12),
	S14 = SHIFT(S13),
	S15 = SHIFT(S14),
	S16 = SHIFT(S15),
	S17 = SHIFT(S16),
	S18 = SHIFT(S17),
	S19 = SHIFT(S18),
	S20 = SHIFT(S19),
	S21 = SHIFT(S20),
	S22 = SHIFT(S21),
	S23 = SHIFT(S22),
	S24 = SHIFT(S23),
	S25 = SHIFT(S24),
	S26 = SHIFT(S25),
	S27 = SHIFT(S26),
	S28 = SHIFT(S27),
	S29 = SHIFT(S28),
	S30 = SHIFT(S29),
	S31 = SHIFT(S30),
	S32 = SHIFT(S31),
	S33 = SHIFT(S32),
	S34 = SHIFT(S33),
	S35 = SHIFT(S34),
	S36 = SHIFT(S35),
	S37 = SHIFT(S36),
	S38 = SHIFT(S37),
	S39 = SHIFT(S38),
	S40 = SHIFT(S39),
	S41 = SHIFT(S40),
	S42 = SHIFT(S41),
	S43 = SHIFT(S42),
	S44 = SHIFT(S43),
	S45 = SHIFT(S44),
	S46 = SHIFT(S45),
	S47 = SHIFT(S46),
	S48 = SHIFT(S47),
	S49 = SHIFT(S48),
	S50 = SHIFT(S49),
	S51 = SHIFT(S50),
	S52 = SHIFT(S51),
	S53 = SHIFT(S52),
	S54 = SHIFT(S53),
	S55 = SHIFT(S54),
	S56 = SHIFT(S55),
	S57 = SHIFT(S56),
	S58 = SHIFT(S57),
	S59 = SHIFT(S58),
	S60 = SHIFT(S59),
	S61 = SHIFT(S60),
	S62 = SHIFT(S61),
	S63 = SHIFT(S62),
};

/* Entry i of the table for a byte that some zero bytes follow: the sum of
 * what its bits, the last one first, leave in the register. */
#define BIT(i, b, s) ((i) >> (b)&1u ? (uint32_t)(s) : 0u)
#define E1(i, a, b, c, d, e, f, g, h)                                                              \
	(BIT(i, 7, a) ^ BIT(i, 6, b) ^ BIT(i, 5, c) ^ BIT(i, 4, d) ^ BIT(i, 3, e) ^ BIT(i, 2, f) ^ \
	 BIT(i, 1, g) ^ BIT(i, 0, h))
#define E4(i, ...)                                                            \
	E1(i, __VA_ARGS__), E1(i + 1u, __VA_ARGS__), E1(i + 2u, __VA_ARGS__), \
		E1(i + 3u, __VA_ARGS__)
#define E16(i, ...)                                                           \
	E4(i, __VA_ARGS__), E4(i + 4u, __VA_ARGS__), E4(i + 8u, __VA_ARGS__), \
		E4(i + 12u, __VA_ARGS__)
#define E64(i, ...)                                                                \
	E16(i, __VA_ARGS__), E16(i + 16u, __VA_ARGS__), E16(i + 32u, __VA_ARGS__), \
		E16(i + 48u, __VA_ARGS__)
#define TABLE(...)                                                                   \
	{                                                                            \
		E64(0u, __VA_ARGS__), E64(64u, __VA_ARGS__), E64(128u, __VA_ARGS__), \
			E64(192u, __VA_ARGS__)                                       \
	}

/* table[k]: for a byte that k zero bytes follow. */
static const uint32_t table[8][256] = {
	TABLE(S0, S1, S2, S3, S4, S5, S6, S7),
	TABLE(S8, S9, S10, S11, S12, S13, S14, S15),
	TABLE(S16, S17, S18, S19, S20, S21, S22, S23),
	TABLE(S24, S25, S26, S27, S28, S29, S30, S31),
	TABLE(S32, S33, S34, S35, S36, S37, S38, S39),
	TABLE(S40, S41, S42, S43, S44, S45, S46, S47),
	TABLE(S48, S49, S50, S51, S52, S53, S54, S55),
	TABLE(S56, S57, S58, S59, S60, S61, S62, S63),
};
/* clang-format on */

static uint32_t step(uint32_t crc, unsigned char byte)
{
	return crc >> 8 ^ table[0][(crc ^ byte) & 0xFF];
}

uint32_t crc32c_before_a_zero(uint32_t crc)
{
	for (int bit = 0; bit < 8; bit++) {
		uint32_t last = crc >> 31;

		crc = (crc ^ (last ? (uint32_t)S0 : 0u)) << 1 | last;
	}
	return crc;
}

/* Of polynomials, modulo that of the CRC. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
	uint32_t product = 0;

	for (uint32_t bit = 1u << 31; bit; bit >>= 1) {
		if (a & bit)
			product ^= b;
		b = SHIFT(b);
	}
	return product;
}

uint32_t crc32c_combine(uint32_t before, uint32_t behind, uint64_t len)
{
	uint32_t square = 1u << 23; /* x^8: a byte */

	for (; len; len >>= 1) {
		if (len & 1)
			before = multiply(before, square);
		square = multiply(square, square);
	}
	return before ^ behind;
}

uint32_t crc32c_table(uint32_t crc, const void *data, size_t len)
{
	const unsigned char *p = data;

	crc = ~crc;
	for (; len >= 8; len -= 8, p += 8) {
		uint64_t w = get_le64(p) ^ crc;

		crc = table[7][w & 0xFF] ^ table[6][w >> 8 & 0xFF] ^ table[5][w >> 16 & 0xFF] ^
		      table[4][w >> 24 & 0xFF] ^ table[3][w >> 32 & 0xFF] ^
		      table[2][w >> 40 & 0xFF] ^ table[1][w >> 48 & 0xFF] ^ table[0][w >> 56];
	}
	while (len--)
		crc = step(crc, *p++);
	return ~crc;
}

#ifdef HAVE_ISAL
uint32_t crc32c_isal(uint32_t crc, const void *data, size_t len)
{
	unsigned char *p = (unsigned char *)(uintptr_t)data; /* ISA-L only reads it */

	crc = ~crc;
	while (len) {
		int n = len < 1u << 30 ? (int)len : 1 << 30; /* its length is an int */

		crc = crc32_iscsi(p, n, crc);
		p += n;
		len -= (size_t)n;
	}
	return ~crc;
}
#endif

uint32_t dwal_crc32c(uint32_t crc, const void *data, size_t len)
{
#ifdef HAVE_ISAL
	return crc32c_isal(crc, data, len);
#else
	return crc32c_table(crc, data, len);
#endif
}
