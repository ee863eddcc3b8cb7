/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The disk as a value: copied, compared, shown. The calls are disk_names.c and disk_bytes.c.
 */
#include "disk.h"
#include "unit.h"

void disk_bytes_copy(struct disk_bytes *out, const struct disk_bytes *bytes)
{
	out->len = bytes->len;
	out->data = malloc(bytes->len + 1);
	CHECK(out->data);
	if (bytes->len)
		memcpy(out->data, bytes->data, bytes->len);
}

void disk_bytes_resize(struct disk_bytes *bytes, size_t len)
{
	bytes->data = realloc(bytes->data, len + 1);
	CHECK(bytes->data);
	if (len > bytes->len)
		memset(bytes->data + bytes->len, 0, len - bytes->len);
	bytes->len = len;
}

void disk_init(struct disk *disk, const char *root)
{
	memset(disk, 0, sizeof(*disk));
	disk->io = disk_io;
	disk->root = root;
	disk->files[DISK_ROOT] = (struct disk_file){.used = true, .is_dir = true, .mode = 0755};
	disk->files[DISK_LOG] =
		(struct disk_file){.used = true, .is_dir = true, .mode = 0700, .parent = DISK_ROOT};
	disk_set_name(disk, DISK_ROOT, "log", DISK_LOG);
	disk_sync_names(disk, DISK_ROOT);
}

static void copy_names(struct disk_names *out, const struct disk_names *names)
{
	out->n = names->n;
	memcpy(out->list, names->list, names->n * sizeof(names->list[0]));
}

static void copy_file(struct disk_file *out, const struct disk_file *file)
{
	*out = *file;
	disk_bytes_copy(&out->cache, &file->cache);
	disk_bytes_copy(&out->durable, &file->durable);
	out->pending = NULL;
	if (!file->pending_count)
		return;
	out->pending = malloc(file->pending_count * sizeof(*out->pending));
	CHECK(out->pending);
	for (size_t i = 0; i < file->pending_count; i++) {
		out->pending[i] = file->pending[i];
		out->pending[i]->refs++;
	}
}

void disk_copy(struct disk *out, const struct disk *disk)
{
	memset(out->fds, 0, sizeof(out->fds));
	out->io = disk_io;
	out->root = disk->root;
	out->descriptions = 0;
	out->clock = disk->clock;
	out->before = NULL;
	out->ctx = NULL;
	out->calls = out->fail_at = 0;
	out->fault = DISK_SOUND;
	out->fail_with = 0;
	out->failed = NULL;
	out->goes_on = out->dies = false;
	out->seed = disk->seed;
	copy_names(&out->now, &disk->now);
	copy_names(&out->durable, &disk->durable);
	copy_names(&out->changes, &disk->changes);
	for (unsigned i = 0; i < DISK_FILES; i++)
		if (disk->files[i].used)
			copy_file(&out->files[i], &disk->files[i]);
		else
			out->files[i] = (struct disk_file){0};
}

void disk_forget_last(struct disk_file *file)
{
	struct disk_write *last = file->pending[--file->pending_count];

	if (!--last->refs)
		free(last);
}

void disk_forget_pending(struct disk_file *file)
{
	while (file->pending_count)
		disk_forget_last(file);
	free(file->pending);
	file->pending = NULL;
	file->pending_count = 0;
}

static void release_file(struct disk_file *file)
{
	disk_forget_pending(file);
	free(file->cache.data);
	free(file->durable.data);
	*file = (struct disk_file){0};
}

void disk_release(struct disk *disk)
{
	for (unsigned i = 0; i < DISK_FILES; i++)
		release_file(&disk->files[i]);
}

static bool is_named(const struct disk_names *names, unsigned ino)
{
	for (size_t i = 0; i < names->n; i++)
		if (names->list[i].ino == ino)
			return true;
	return false;
}

static bool is_open(const struct disk *disk, unsigned ino)
{
	for (size_t i = 0; i < DISK_FDS; i++)
		if (disk->fds[i].used && disk->fds[i].ino == ino)
			return true;
	return false;
}

void disk_drop_unnamed(struct disk *disk)
{
	for (unsigned i = DISK_LOG + 1; i < DISK_FILES; i++)
		if (disk->files[i].used && !is_open(disk, i) && !is_named(&disk->now, i) &&
		    !is_named(&disk->durable, i) && !is_named(&disk->changes, i))
			release_file(&disk->files[i]);
}

unsigned disk_open_count(const struct disk *disk)
{
	unsigned n = 0;

	for (size_t i = 0; i < DISK_FDS; i++)
		n += disk->fds[i].used;
	return n;
}

unsigned disk_lookup(const struct disk_names *names, unsigned dir, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (names->list[i].dir == dir && strcmp(names->list[i].name, name) == 0)
			return names->list[i].ino;
	return 0;
}

static void set(struct disk_names *names, unsigned dir, const char *name, unsigned ino)
{
	size_t i = 0;

	while (i < names->n &&
	       (names->list[i].dir != dir || strcmp(names->list[i].name, name) != 0))
		i++;
	if (!ino) {
		if (i < names->n)
			names->list[i] = names->list[--names->n];
		return;
	}
	CHECK(i < DISK_NAMES);
	if (i == names->n)
		names->n++;
	names->list[i] = (struct disk_name){.dir = dir, .ino = ino};
	CHECK(strlen(name) < sizeof(names->list[i].name));
	strcpy(names->list[i].name, name);
}

void disk_set_name(struct disk *disk, unsigned dir, const char *name, unsigned ino)
{
	struct disk_name *change;

	set(&disk->now, dir, name, ino);
	CHECK(disk->changes.n < DISK_CHANGES);
	change = &disk->changes.list[disk->changes.n++];
	*change = (struct disk_name){.dir = dir, .ino = ino};
	strcpy(change->name, name);
	disk->files[dir].mtime.tv_sec = ++disk->clock;
}

void disk_sync_names(struct disk *disk, unsigned dir)
{
	size_t kept = 0;

	for (size_t i = 0; i < disk->changes.n; i++) {
		const struct disk_name *change = &disk->changes.list[i];

		if (change->dir == dir)
			set(&disk->durable, dir, change->name, change->ino);
		else
			disk->changes.list[kept++] = *change;
	}
	disk->changes.n = kept;
}

/* Sizes are not lost by a failed sync, bytes are. */
void disk_fail_sync(struct disk *disk, unsigned ino, bool (*keep)(void *ctx), void *ctx)
{
	struct disk_file *file = &disk->files[ino];
	struct disk_bytes *durable = &file->durable;

	disk_bytes_resize(durable, file->cache.len);
	for (size_t i = 0; i < file->pending_count; i++) {
		const struct disk_write *write = file->pending[i];

		for (size_t s = write->first; s < write->first + write->count; s++) {
			size_t at = s * DISK_SECTOR, n = DISK_SECTOR;

			if (at >= durable->len || !keep(ctx))
				continue;
			n = durable->len - at < n ? durable->len - at : n;
			memcpy(durable->data + at, write->bytes + (s - write->first) * DISK_SECTOR,
			       n);
		}
	}
	disk_forget_pending(file);
}

static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t word;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&word, p, 8);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15;
		hash ^= hash >> 29;
	}
	word = 0;
	memcpy(&word, p, len);
	hash = (hash ^ word ^ (uint64_t)len << 56) * 0x9e3779b97f4a7c15;
	return hash ^ hash >> 32;
}

static uint64_t hash_file(const struct disk_file *file)
{
	uint64_t hash = mix(file->is_dir, file->cache.data, file->cache.len);

	if (!file->pending_count && file->durable.len == file->cache.len &&
	    (!file->cache.len ||
	     memcmp(file->durable.data, file->cache.data, file->cache.len) == 0))
		return hash;
	hash = mix(hash, file->durable.data, file->durable.len);
	for (size_t i = 0; i < file->pending_count; i++) {
		const struct disk_write *write = file->pending[i];

		hash = mix(hash ^ write->size ^ (uint64_t)write->first << 32, write->bytes,
			   write->count * DISK_SECTOR);
	}
	return hash;
}

/* In any order, but for changes. */
static uint64_t hash_names(const struct disk *disk, const struct disk_names *names, bool in_order)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < names->n; i++) {
		const struct disk_name *name = &names->list[i];
		uint64_t hash = name->ino ? hash_file(&disk->files[name->ino]) : 7;

		hash = mix(hash + (name->dir == DISK_ROOT) + 2 * (name->dir == DISK_LOG),
			   name->name, strlen(name->name));
		sum = (in_order ? sum * 31 : sum) + hash;
	}
	return sum;
}

uint64_t disk_hash(const struct disk *disk)
{
	uint64_t sums[3] = {hash_names(disk, &disk->now, false),
			    hash_names(disk, &disk->durable, false),
			    hash_names(disk, &disk->changes, true)};

	if (!disk->changes.n)
		sums[1] = 0;
	return mix(1, sums, sizeof(sums));
}

void disk_show(const struct disk *disk)
{
	for (size_t i = 0; i < disk->now.n; i++) {
		const struct disk_name *name = &disk->now.list[i];
		const struct disk_file *file = &disk->files[name->ino];

		fprintf(stderr, "  %u/%s: inode %u, %zu bytes", name->dir, name->name, name->ino,
			file->cache.len);
		if (file->pending_count)
			fprintf(stderr, ", %zu durable, %zu pending", file->durable.len,
				file->pending_count);
		fprintf(stderr, "\n");
	}
	for (size_t i = 0; i < disk->changes.n; i++)
		fprintf(stderr, "  pending: %u/%s -> %u\n", disk->changes.list[i].dir,
			disk->changes.list[i].name, disk->changes.list[i].ino);
}
