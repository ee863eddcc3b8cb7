/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The payloads of datawalfs's own records: what is taken for one can be written
 * again, and is the same when it is read; what is not leaves the result alone.
 */
#include "attr.h"
#include "fuzz.h"
#include "unfinished_head.h"

static bool same_time(struct timespec one, struct timespec other)
{
	return one.tv_sec == other.tv_sec && one.tv_nsec == other.tv_nsec;
}

static bool same_attr(const struct attr *one, const struct attr *other)
{
	return one->type == other->type && one->present == other->present &&
	       one->mode == other->mode && one->uid == other->uid && one->gid == other->gid &&
	       one->rdev == other->rdev && one->ino == other->ino &&
	       same_time(one->mtime, other->mtime) && same_time(one->atime, other->atime) &&
	       same_time(one->ctime, other->ctime);
}

static bool same_xattrs(const struct xattr *one, const struct xattr *other)
{
	for (; one && other; one = one->next, other = other->next)
		if (strcmp(one->name, other->name) != 0 ||
		    !same_bytes((struct dwal_bytes){one->value, one->len},
				(struct dwal_bytes){other->value, other->len}))
			return false;
	return !one && !other;
}

static void check_limits(const struct xattr *list)
{
	CHECK(xattr_total(list) <= XATTR_TOTAL_BYTES);
	for (; list; list = list->next)
		CHECK(list->name[0] && strlen(list->name) <= XATTR_NAME_BYTES && list->value &&
		      list->room <= XATTR_ONE_BYTES);
}

/* The lines of attributes that are in force, which must be found once more. */
static void check_attributes(const char *payload, size_t len)
{
	struct attr attr, back;
	struct xattr *xattrs, *xattrs_back;
	char *text;
	size_t text_len;

	memset(&attr, 0x5a, sizeof(attr));
	memcpy(&back, &attr, sizeof(attr));
	if (!attr_parse(payload, len, &attr)) {
		CHECK(memcmp(&attr, &back, sizeof(attr)) == 0);
		return;
	}
	CHECK_INT(attr_parse_xattrs(payload, len, &xattrs), 0);
	check_limits(xattrs);
	CHECK_INT(attr_format_full(&attr, xattrs, &text, &text_len), 0);
	CHECK(attr_parse(text, text_len, &back) && same_attr(&attr, &back));
	CHECK_INT(attr_parse_xattrs(text, text_len, &xattrs_back), 0);
	CHECK(same_xattrs(xattrs, xattrs_back));
	xattr_free(xattrs);
	xattr_free(xattrs_back);
	free(text);
}

static void check_clock(const char *payload, size_t len)
{
	int64_t seconds = 0x5a;
	char text[64];

	if (!clock_parse(CLOCK_KEY, CLOCK_KEY_LEN, payload, len, &seconds)) {
		CHECK_INT(seconds, 0x5a);
		return;
	}
	CHECK(!clock_parse(CLOCK_KEY, CLOCK_KEY_LEN - 1, payload, len, &seconds));
	/* one spelling a value */
	snprintf(text, sizeof(text), "datawalfs.clock 1\ntime=%lld\n", (long long)seconds);
	CHECK(len >= strlen(text) && memcmp(text, payload, strlen(text)) == 0);
}

static void check_time(const char *string)
{
	char text[TIME_TEXT_SIZE];
	struct timespec time;

	if (!time_parse(string, &time))
		return;
	CHECK(time.tv_nsec >= 0 && time.tv_nsec < 1000000000);
	time_format(time, text);
	CHECK(strcmp(text, string) == 0);
}

static void check_unfinished(const char *payload, size_t len)
{
	const struct dwal_record record = {.type = DWAL_RAW,
					   .key = {UNFINISHED_KEY, strlen(UNFINISHED_KEY)},
					   .payload = {payload, len}};
	struct unfinished_head head;
	char *text;
	int n;

	if (!unfinished_head_parse(&record, &head))
		return;
	n = asprintf(&text, UNFINISHED_FIRST "key=%.*s\nsize=%llu\noffset=%llu\n\n",
		     (int)head.digits.len, (const char *)head.digits.data,
		     (unsigned long long)head.size, (unsigned long long)head.begin);
	CHECK(n > 0);
	if (!memchr(head.digits.data, '\0', head.digits.len)) /* where printf would end */
		CHECK((uint64_t)n + head.part == len && memcmp(text, payload, (size_t)n) == 0);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dwal_bytes bytes = {data, size};
	char *exact = copy_of(bytes, false), *string = copy_of(bytes, true);

	check_attributes(exact, size);
	check_clock(exact, size);
	check_unfinished(exact, size);
	check_time(string);
	free(string);
	free(exact);
	return 0;
}
