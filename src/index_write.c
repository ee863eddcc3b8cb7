/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Writing an index file, under a temporary name first. Must not know what makes
 * somebody write one, nor hold a lock.
 */
#include "index.h"
#include "util.h"

#include <errno.h>

#define BUFFER_SIZE (256u << 10)

void index_writer_init(struct index_writer *writer)
{
	*writer = (struct index_writer){.fd = -1, .crc = index_crc_begin()};
}

int index_create(struct index_writer *writer, int dirfd, struct segment *segment)
{
	const struct io *io = segment->io;
	struct file_like like;
	struct stat st;
	int rc = io->fstat(io, segment->fd, &st);

	index_writer_init(writer);
	writer->io = io;
	writer->dirfd = dirfd;
	if (rc)
		return rc;
	writer->buffer = malloc(BUFFER_SIZE);
	if (!writer->buffer)
		return -ENOMEM;
	like = file_like(&st, segment->fd);
	logname_index_temp(segment->id, writer->temp);
	writer->fd = file_create(io, dirfd, writer->temp, O_WRONLY, &like);
	if (writer->fd < 0)
		return writer->fd;
	writer->tail = (struct index_tail){.ino = st.st_ino, .mtime = st.st_mtim};
	index_put_head(writer->buffer);
	writer->buffered = writer->end = INDEX_HEAD_SIZE;
	return 0;
}

static int flush(struct index_writer *writer)
{
	int rc = io_pwrite_full(writer->io, writer->fd, writer->buffer, writer->buffered,
				writer->end - writer->buffered);

	writer->buffered = 0;
	return rc;
}

/* At most what an entry can be. */
static int put(struct index_writer *writer, struct dwal_bytes bytes)
{
	int rc = 0;

	if (bytes.len > BUFFER_SIZE - writer->buffered)
		rc = flush(writer);
	if (rc)
		return rc;
	put_bytes(writer->buffer + writer->buffered, bytes);
	writer->buffered += bytes.len;
	writer->end += bytes.len;
	return 0;
}

int index_add(struct index_writer *writer, const struct dwal_record *record)
{
	unsigned char entry[INDEX_ENTRY_SIZE];
	int rc;

	writer->crc = index_crc_add(writer->crc, record);
	if (writer->fd < 0)
		return 0;
	writer->tail.size = record->offset + record->length;
	writer->tail.last_offset = record->offset;
	writer->tail.last_crc = record->crc32c;
	writer->tail.records++;
	index_put_entry(record, entry);
	rc = put(writer, (struct dwal_bytes){entry, sizeof(entry)});
	if (!rc)
		rc = put(writer, record->key);
	return rc ? rc : put(writer, index_kept(record));
}

int index_finish(struct index_writer *writer)
{
	unsigned char tail[INDEX_TAIL_SIZE];
	int rc;

	index_put_tail(&writer->tail, writer->crc, tail);
	rc = put(writer, (struct dwal_bytes){tail, sizeof(tail)});
	if (!rc)
		rc = flush(writer);
	return rc ? rc : writer->io->fsync(writer->io, writer->fd);
}

int index_publish(struct index_writer *writer, uint32_t segment)
{
	char name[LOGNAME_TEMP_SIZE];
	int rc;

	logname_index(segment, name);
	rc = writer->io->renameat2(writer->io, writer->dirfd, writer->temp, writer->dirfd, name, 0);
	if (!rc)
		writer->temp[0] = '\0';
	return rc;
}

void index_writer_release(struct index_writer *writer)
{
	if (writer->fd >= 0 && writer->temp[0])
		(void)writer->io->unlinkat(writer->io, writer->dirfd, writer->temp,
					   0);   /* or the next open does it */
	(void)io_close(writer->io, &writer->fd); /* synced, or given up */
	free(writer->buffer);
	writer->buffer = NULL;
}
