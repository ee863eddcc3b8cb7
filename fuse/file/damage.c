/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What cannot be read is noted where it is read. In a degraded mount what is
 * damaged was told before, and is not told again.
 */
#include "file/damage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "tree/treename.h"

/* Not that the process or the mount is short of something. */
static bool is_of_the_log(int code)
{
	return code == DWAL_ECORRUPT || code == -EIO || code == -ENXIO || code == -ENODEV;
}

static void describe(const struct dwal_error *error, char *out, size_t size)
{
	const char *text = error->reason != DWAL_FRAME_OK ? dwal_frame_status_text(error->reason)
			   : error->code == DWAL_ECORRUPT ? "not the record that was written there"
							  : dwal_strerror(error->code);

	(void)snprintf(out, size, "%s", text); /* cut if long */
}

static struct damage *new_damage(const struct dwal_error *error, const struct dwal_bytes *key,
				 bool by_scrub)
{
	struct damage *damage = calloc(1, sizeof(*damage) + (key ? key->len : 0) + 1);

	if (!damage)
		return NULL;
	damage->segment = error->segment;
	damage->offset = error->offset;
	describe(error, damage->reason, sizeof(damage->reason));
	damage->by_scrub = by_scrub;
	damage->has_key = key;
	if (key && key->len) {
		damage->key_len = key->len;
		memcpy(damage->key, key->data, key->len);
	}
	return damage;
}

/* True: it is the first time. Without memory it is told, and counted, again. */
static bool list(struct fs *fs, const struct dwal_error *error, const struct dwal_bytes *key,
		 bool by_scrub)
{
	struct damage *known, *damage;
	bool is_new;

	tree_lock(&fs->tree);
	DL_FOREACH(fs->damage, known)
	if (known->segment == error->segment && known->offset == error->offset)
		break;
	is_new = !known;
	damage = is_new && fs->damage_count < DAMAGE_LISTED ? new_damage(error, key, by_scrub)
							    : NULL;
	if (damage)
		DL_APPEND(fs->damage, damage);
	fs->damage_count += is_new;
	tree_unlock(&fs->tree);
	return is_new;
}

/* The first bytes of a key, on one line. */
static void quote(const struct dwal_bytes *key, char *out, size_t size)
{
	const unsigned char *p = key->data;
	size_t len = 0;

	for (size_t i = 0; i < key->len && len + 5 < size; i++)
		len += (size_t)snprintf(out + len, size - len,
					p[i] < 0x20 || p[i] == 0x7f || p[i] == '"' || p[i] == '\\'
						? "\\x%02x"
						: "%c",
					p[i]);
}

/* True: it is to be told. */
static bool is_news(struct fs *fs, const struct dwal_error *error, const struct dwal_bytes *key,
		    bool by_scrub)
{
	return !fs->opt.degraded && is_of_the_log(error->code) && list(fs, error, key, by_scrub) &&
	       fs->tell;
}

#define WHAT_HELPS                                                                  \
	"other files are not affected; check the disk, 'datawal check' says more, " \
	"'datawal salvage DIR OUT' copies what is intact"

static void note(struct fs *fs, const struct dwal_error *error, const struct dwal_bytes *key)
{
	char reason[64], name[256] = "", line[1024];

	if (!is_news(fs, error, key, false))
		return;
	describe(error, reason, sizeof(reason));
	if (key)
		quote(key, name, sizeof(name));
	(void)snprintf(line, sizeof(line),
		       "%s: \"%s\" cannot be read: segment %08" PRIu32 ", offset %" PRIu64
		       ": %s; " WHAT_HELPS,
		       fs->opt.log_dir, name, error->segment, error->offset, reason);
	fs->tell(fs->tell_ctx, line);
}

int damage_read(struct fs *fs, const struct node *node, dwal_value *value, uint64_t offset,
		void *buffer, size_t n, size_t *got)
{
	struct dwal_error error = {.code = 0};
	char name[DWAL_MAX_KEY];
	struct dwal_bytes key = {name, 0};
	bool has_key;
	int r = dwal_value_read(value, offset, buffer, n, got, &error);

	if (!r)
		return 0;
	tree_lock(&fs->tree);
	has_key = node_has_place(&fs->tree, node) && tree_key(&fs->tree, node, name, &key.len) == 0;
	tree_unlock(&fs->tree);
	note(fs, &error, has_key ? &key : NULL);
	return errno_of(r);
}

int damage_get(struct fs *fs, struct dwal_bytes key, void **value, size_t *len)
{
	struct dwal_error error = {.code = 0};
	int r = dwal_kv_get(fs->kv, key.data, key.len, value, len, &error);

	if (r)
		note(fs, &error, &key);
	return errno_of(r);
}

void damage_found(struct fs *fs, const struct dwal_error *error)
{
	char line[1024];

	if (!is_news(fs, error, NULL, true))
		return;
	(void)snprintf(line, sizeof(line), "%s; reading what stands there is an error, " WHAT_HELPS,
		       error->message);
	fs->tell(fs->tell_ctx, line);
}

bool damage_passed(struct fs *fs, char *line, size_t size)
{
	const struct dwal_report *found = dwal_kv_report(fs->kv);
	char first[512], more[64] = "";

	for (size_t i = 0; i < found->lost_count; i++) {
		const struct dwal_lost *lost = &found->lost[i];
		const struct dwal_error error = {
			.segment = lost->segment, .offset = lost->offset, .reason = lost->reason};

		(void)list(fs, &error, lost->key_known ? &lost->record.key : NULL, true);
	}
	if (!found->lost_count)
		return false;
	dwal_lost_text(found->lost, first, sizeof(first));
	if (found->lost_ranges > 1)
		(void)snprintf(more, sizeof(more), ", and %" PRIu64 " more",
			       found->lost_ranges - 1);
	(void)snprintf(line, size,
		       "%.200s: segment %08" PRIu32 ", offset %" PRIu64 ": %s (%s)%s; reading what "
		       "stands there is an error, .log/recovery lists it; " WHAT_HELPS,
		       fs->opt.log_dir, found->lost->segment, found->lost->offset,
		       dwal_frame_status_text(found->lost->reason), first, more);
	return true;
}

uint64_t damage_each(struct fs *fs, void (*fn)(void *ctx, const struct damage *damage), void *ctx)
{
	const struct damage *damage;
	uint64_t count;

	tree_lock(&fs->tree);
	DL_FOREACH(fs->damage, damage)
	fn(ctx, damage);
	count = fs->damage_count;
	tree_unlock(&fs->tree);
	return count;
}

void damage_free_all(struct fs *fs)
{
	struct damage *damage, *next;

	DL_FOREACH_SAFE(fs->damage, damage, next)
	{
		free(damage);
	}
	fs->damage = NULL;
}
