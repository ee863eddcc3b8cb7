/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What every command needs: exit statuses, and the look at a directory before
 * it is opened. It must not know the commands.
 */
#include <errno.h>
#include <string.h>

#include "cli.h"
#include "directory.h"

/* What the caller can put right is wrong use; what only the storage can is
 * hard. */
static enum status status_of(int code)
{
	switch (code) {
	case DWAL_ELOCKED:
	case DWAL_EKEYSIZE:
	case DWAL_EPAYLOADSIZE:
	case DWAL_ESEGMENTS:
	case DWAL_ETARGET:
	case DWAL_EUNSTABLE:
	case -EACCES:
	case -EBADF:
	case -EEXIST:
	case -EINVAL:
	case -EISDIR:
	case -ELOOP:
	case -EMFILE:
	case -ENAMETOOLONG:
	case -ENFILE:
	case -ENOENT:
	case -ENOMEM:
	case -ENOTDIR:
	case -EPERM:
	case -EROFS:
		return WRONG_USE;
	case DWAL_EBEHIND:
		return RECOVERABLE;
	}
	return HARD_ERROR;
}

enum status fail(const char *where, int code, const struct dwal_error *error)
{
	if (error && error->message[0])
		complain("%s", error->message);
	else
		complain("%s: %s", where, dwal_strerror(code));
	return status_of(code);
}

enum status check_log(const char *dir, bool may_create)
{
	struct directory_look found;
	int err = directory_look(dir, &found);

	if (err == -ENOENT && may_create)
		return DONE;
	if (err) {
		complain("%s: %s", dir, err == -ENOENT ? "no such directory" : strerror(-err));
		return WRONG_USE;
	}
	if (found.segment || found.lock || !(found.temp || found.other))
		return DONE;
	complain("%s: not a log: a directory with files, none of them a segment such as "
		 "00000001.dwal",
		 dir);
	return WRONG_USE;
}

enum status open_store(const struct args *args, dwal_kv **out)
{
	const struct dwal_options options = {.read_only = true, .verify = args->verify};
	struct dwal_error error = {0};
	enum status status = check_log(args->operand[0], false);
	int ret;

	if (status != DONE)
		return status;
	ret = dwal_kv_open(args->operand[0], &options, out, &error);
	if (ret)
		return fail(args->operand[0], ret, &error);
	status = tell_intact(args->operand[0], dwal_kv_report(*out));
	if (status != DONE)
		(void)dwal_kv_close(*out); /* nothing was written */
	return status;
}
