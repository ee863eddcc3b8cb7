/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * record_log_demo DIR: appends three records to a log, makes them durable and
 * reads back what the log holds.
 */
/* README begin */
#include <datawal.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int append_three(dwal_log *log)
{
	const char *words[] = {"alpha", "beta", "gamma"};

	for (size_t i = 0; i < 3; i++) {
		int err = dwal_log_append_raw(log, words[i], strlen(words[i]), NULL);

		if (err)
			return err;
	}
	return dwal_log_sync(log); /* once this is 0, they survive a power cut */
}

static int print_all(dwal_log *log, struct dwal_error *error)
{
	struct dwal_record record;
	dwal_iter *iter;
	int err = dwal_log_iterate(log, 0, 0, &iter, error);

	if (err)
		return err;
	while ((err = dwal_iter_next(iter, &record, error)) == 0)
		printf("txid %" PRIu64 ": %.*s\n", record.txid, (int)record.payload.len,
		       (const char *)record.payload.data);
	dwal_iter_close(iter);
	return err == DWAL_END ? 0 : err;
}

int main(int argc, char **argv)
{
	struct dwal_error error;
	dwal_log *log;

	if (argc != 2) {
		fprintf(stderr, "usage: record_log_demo DIR\n");
		return 1;
	}
	if (dwal_log_open(argv[1], NULL, &log, &error)) {
		fprintf(stderr, "%s\n", error.message);
		return 1;
	}
	int err = append_three(log);
	if (err)
		fprintf(stderr, "append: %s\n", dwal_strerror(err));
	else if ((err = print_all(log, &error)))
		fprintf(stderr, "%s\n", error.message);
	return dwal_log_close(log) || err ? 1 : 0;
}
/* README end */
