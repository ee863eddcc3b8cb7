/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Ages and sizes: what each letter means, the limits, and what is neither.
 */
#include "keepword.h"

#include "unit.h"

static void each_letter_has_its_unit(void)
{
	static const struct {
		const char *text;
		struct keepword means;
	} cases[] = {
		{"1s", {true, 1}},
		{"90m", {true, 5400}},
		{"2h", {true, 7200}},
		{"30d", {true, 2592000}},
		{"2w", {true, 1209600}},
		{"1y", {true, 31536000}},
		{"7B", {false, 7}},
		{"4K", {false, 4096}},
		{"3M", {false, 3145728}},
		{"10G", {false, 10737418240}},
		{"1T", {false, 1099511627776}},
		{"010K", {false, 10240}},
		{"4611686018427387904B", {false, KEEPWORD_MOST}},
		{"4194304T", {false, KEEPWORD_MOST}},
	};
	struct keepword found;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK(keepword_parse(cases[i].text, &found));
		CHECK_INT(found.is_age, cases[i].means.is_age);
		CHECK(found.value == cases[i].means.value);
	}
}

static void anything_else_is_neither(void)
{
	static const char *const texts[] = {
		"",
		"d",
		"10",
		"0d",
		"0K",
		"-1d",
		"+1d",
		" 1d",
		"1 d",
		"1dd",
		"1D",
		"1k",
		"1g",
		"1KB",
		"1.5G",
		"0x10K",
		"4194305T",
		"4611686018427387905B",
		"1d\n",
		"auto",
		"18446744073709551616s",
		"146235604339y",
	};
	struct keepword found = {true, 5};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		CHECK(!keepword_parse(texts[i], &found));
	CHECK_INT(found.value, 5);
}

UNIT_MAIN(UNIT(each_letter_has_its_unit), UNIT(anything_else_is_neither))
